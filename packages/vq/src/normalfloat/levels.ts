export { normalfloatLevels } from '@reallm/kernels'
