// What runs in the Worker of `load(where, { worker: true })`. JavaScript, so that it has one name in sources and builds.
import { serveModel } from './serve-model.ts'

serveModel()
