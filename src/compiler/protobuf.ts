/** A protocol buffer message as its encoded fields. */
export type Message = readonly Uint8Array[]

const text = new TextEncoder()

/** A base-128 varint; negative numbers as 64-bit two's complement. */
export function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value < 0 ? BigInt.asUintN(64, BigInt(value)) : BigInt(value)
  if (value >= 0 && value < 2 ** 31) {
    let small = value
    while (small > 127) {
      bytes.push((small & 127) | 128)
      small >>>= 7
    }
    bytes.push(small)
    return bytes
  }
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return bytes
}

const lengthOf = (message: Message): number => message.reduce((sum, part) => sum + part.length, 0)

/** An integer field. */
export const integer = (field: number, value: number): Uint8Array =>
  Uint8Array.from([...varint(field << 3), ...varint(value)])

/** A float field. */
export function float(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(5)
  bytes[0] = (field << 3) | 5
  new DataView(bytes.buffer).setFloat32(1, value, true)
  return bytes
}

/** A field of raw bytes: header and bytes apart, so that large tensors are copied once. */
export const bytes = (field: number, value: Uint8Array): Message => [
  Uint8Array.from([...varint((field << 3) | 2), ...varint(value.length)]),
  value,
]

/** A string field. */
export const string = (field: number, value: string): Message => bytes(field, text.encode(value))

/** A packed list of integers. */
export const integers = (field: number, values: readonly number[]): Message =>
  bytes(field, Uint8Array.from(values.flatMap(varint)))

/** A nested message. */
export const nested = (field: number, message: Message): Message => [
  Uint8Array.from([...varint((field << 3) | 2), ...varint(lengthOf(message))]),
  ...message,
]

/** The encoded bytes in one piece. */
export function serialise(message: Message): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(lengthOf(message))
  let offset = 0
  for (const part of message) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}
