export { type Adapter, type AdapterModule, configName, weightsName } from '@reallm/tensor-io/models'
