/** What of hyparquet is used; its own types name more than a host without it could check. */
export interface ParquetLibrary {
  metadata(file: ParquetBytes): Promise<ParquetMetadata>
  schema(metadata: ParquetMetadata): ParquetColumn
  /** Rows `rowStart` to `rowEnd - 1` of some columns; bytes stay bytes unless a column says that it is text. */
  rows(options: {
    readonly file: ParquetBytes
    readonly metadata: ParquetMetadata
    readonly columns: string[]
    readonly rowStart: number
    readonly rowEnd: number
  }): Promise<Record<string, unknown>[]>
}

export interface ParquetBytes {
  readonly byteLength: number
  slice(start: number, end?: number): Promise<ArrayBuffer>
}

export interface ParquetMetadata {
  readonly num_rows: bigint
  readonly row_groups: readonly {
    readonly num_rows: bigint
    readonly columns: readonly {
      readonly meta_data?:
        | {
            readonly path_in_schema: readonly string[]
            readonly total_uncompressed_size: bigint
            readonly total_compressed_size: bigint
            readonly data_page_offset: bigint
            readonly dictionary_page_offset?: bigint | undefined
          }
        | undefined
    }[]
  }[]
  readonly key_value_metadata?: readonly { readonly key: string; readonly value?: string | undefined }[] | undefined
}

export interface ParquetColumn {
  readonly children: readonly ParquetColumn[]
  readonly element: {
    readonly name: string
    readonly type?: string | undefined
    readonly converted_type?: string | undefined
    readonly logical_type?: { readonly type: string } | undefined
  }
}
