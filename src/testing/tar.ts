/** A member of an archive. */
export interface Entry {
  readonly name: string
  readonly data?: string | Uint8Array
  readonly size?: number
  readonly kind?: string
}

/** A tar archive by hand, so that headers can lie. */
export function tarOf(entries: readonly Entry[], end = true): Uint8Array {
  const blocks = entries.flatMap(({ name, data = '', size, kind = '0' }) => {
    const bytes = Buffer.from(data as string)
    const header = Buffer.alloc(512)
    header.write(name, 0, 100)
    header.write('0000644\0', 100)
    header.write(`${(size ?? bytes.length).toString(8).padStart(11, '0')}\0`, 124)
    header.write('        ', 148)
    header.write(kind, 156)
    header.write('ustar\x0000', 257)
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    )
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(end ? 1024 : 0)])
}
