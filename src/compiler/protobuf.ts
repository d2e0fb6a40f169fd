/** A protocol buffer message as its encoded fields; nested messages stay apart until all is written in one go. */
export type Message = readonly Part[]
/** Text of ASCII characters alone stays as it is: a model has very many names. */
type Part = Uint8Array | string | Nested

interface Nested {
  readonly header: Uint8Array
  readonly message: Message
  readonly length: number
}

const text = new TextEncoder()

function isAscii(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 127) return false
  return true
}

const pairs: Uint8Array[] = []

/** Two base-128 varints; negative numbers as 64-bit two's complement. */
function varints(first: number, second: number): Uint8Array {
  if (first >= 128 || second < 0 || second >= 128) return new Uint8Array([...varint(first), ...varint(second)])
  pairs[first * 128 + second] ??= Uint8Array.of(first, second)
  return pairs[first * 128 + second]!
}

/** A base-128 varint; negative numbers as 64-bit two's complement. */
export function varint(value: number): number[] {
  const bytes: number[] = []
  if (value >= 0 && value < 2 ** 31) {
    let small = value
    while (small > 127) {
      bytes.push((small & 127) | 128)
      small >>>= 7
    }
    bytes.push(small)
    return bytes
  }
  let rest = BigInt.asUintN(64, BigInt(value))
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return bytes
}

const lengthOf = (message: Message): number => message.reduce((sum, part) => sum + part.length, 0)

/** An integer field. */
export const integer = (field: number, value: number): Uint8Array => varints(field << 3, value)

/** A float field. */
export function float(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(5)
  bytes[0] = (field << 3) | 5
  new DataView(bytes.buffer).setFloat32(1, value, true)
  return bytes
}

/** A field of raw bytes: header and bytes apart, so that large tensors are copied once. */
export const bytes = (field: number, value: Uint8Array | string): Message => [
  varints((field << 3) | 2, value.length),
  value,
]

/** A string field. */
export const string = (field: number, value: string): Message =>
  bytes(field, isAscii(value) ? value : text.encode(value))

/** A packed list of integers. */
export const integers = (field: number, values: readonly number[]): Message =>
  bytes(field, new Uint8Array(values.flatMap(varint)))

/** A nested message. */
export function nested(field: number, message: Message): Message {
  const length = lengthOf(message)
  const header = varints((field << 3) | 2, length)
  return [{ header, message, length: header.length + length }]
}

/** The encoded bytes in one piece. */
export function serialise(message: Message): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(lengthOf(message))
  let offset = 0
  const write = (part: Uint8Array): void => {
    // Quicker than set() for the few bytes that most fields have.
    if (part.length < 32) for (let i = 0; i < part.length; i++) out[offset + i] = part[i]!
    else out.set(part, offset)
    offset += part.length
  }
  const writeAll = (parts: Message): void => {
    for (const part of parts) {
      if (part instanceof Uint8Array) write(part)
      else if (typeof part === 'string') for (let i = 0; i < part.length; i++) out[offset++] = part.charCodeAt(i)
      else {
        write(part.header)
        writeAll(part.message)
      }
    }
  }
  writeAll(message)
  return out
}
