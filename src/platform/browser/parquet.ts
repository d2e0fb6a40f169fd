import { LatentkitError } from '../errors.js'
import type { ParquetLibrary } from '../parquet.js'

export async function loadParquet(file: string): Promise<ParquetLibrary> {
  throw new LatentkitError(`Cannot read ${file}: Parquet files are read in Node; in a browser use tar shards`)
}
