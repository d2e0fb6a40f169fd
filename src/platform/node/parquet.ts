import { LatentkitError } from '../errors.js'
import type { ParquetLibrary } from '../parquet.js'

/** The versions that the tests run with; package.json's peerDependencies has the same. */
const wanted = 'hyparquet@1.31.5 hyparquet-compressors@1.1.2'

export async function loadParquet(file: string): Promise<ParquetLibrary> {
  const packages = Promise.all([import('hyparquet'), import('hyparquet-compressors')])
  const [{ parquetMetadataAsync, parquetReadObjects, parquetSchema }, { compressors }] = await packages.catch(
    (cause: unknown) => {
      throw new LatentkitError(
        `Cannot read ${file}: Parquet files need the packages hyparquet and hyparquet-compressors, which could not be ` +
          `loaded. Run "npm install ${wanted}"`,
        { cause },
      )
    },
  )
  type Metadata = Awaited<ReturnType<typeof parquetMetadataAsync>>
  return {
    metadata: async bytes => parquetMetadataAsync(bytes),
    schema: metadata => parquetSchema(metadata as unknown as Metadata),
    rows: async ({ metadata, ...options }) =>
      parquetReadObjects({ ...options, metadata: metadata as unknown as Metadata, compressors, utf8: false }),
  }
}
