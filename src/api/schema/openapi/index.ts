/** OpenAPI documents: built from the schema and the resources when the project is built, served from files. */
export type { Descriptions } from './definitions.js';
export {
  type OpenApiFile,
  type OpenApiFiles,
  type OpenApiIndex,
  openApiDirectory,
  openApiFiles,
} from './files.js';
