import { bytes, float, integer, type Message, nested, serialise, string } from '../../compiler/protobuf.js'
import { crc32c } from './crc32c.js'

/** A picture as TensorBoard stores it. */
export interface EncodedImage {
  readonly png: Uint8Array
  readonly width: number
  readonly height: number
}

/** When something was measured: seconds since 1970, and the step. */
export interface Moment {
  readonly seconds: number
  readonly step: number
}

/**
 * The first record of a TensorBoard event file; a file without it is not read.
 *
 * Source of the fields' numbers: tensorflow, core/util/event.proto and core/framework/summary.proto.
 */
export const fileVersion = (seconds: number): Uint8Array => record([double(1, seconds), ...string(3, 'brain.Event:2')])

/** Says that a run starts over at a step: TensorBoard then drops what an interrupted run had logged from there on. */
export const sessionStart = (at: Moment): Uint8Array => event(at, nested(7, [integer(1, 1)]))

/** Numbers by their tag, `held-out/loss`. */
export const scalars = (at: Moment, values: Readonly<Record<string, number>>): Uint8Array =>
  summary(
    at,
    (Object.entries(values) as [string, number][]).map(([tag, value]) => [tag, [float(2, value)]]),
  )

/** Pictures by their tag. */
export const images = (at: Moment, values: Readonly<Record<string, EncodedImage>>): Uint8Array =>
  summary(
    at,
    Object.entries(values).map(([tag, { png, width, height }]) => {
      const rgb = 3
      return [tag, nested(4, [integer(1, height), integer(2, width), integer(3, rgb), ...bytes(4, png)])]
    }),
  )

const summary = (at: Moment, values: readonly (readonly [tag: string, value: Message])[]): Uint8Array =>
  event(
    at,
    nested(
      5,
      values.flatMap(([tag, value]) => nested(1, [...string(1, tag), ...value])),
    ),
  )

const event = ({ seconds, step }: Moment, what: Message): Uint8Array =>
  record([double(1, seconds), integer(2, step), ...what])

function double(field: number, value: number): Uint8Array {
  const out = new Uint8Array(9)
  out[0] = (field << 3) | 1
  new DataView(out.buffer).setFloat64(1, value, true)
  return out
}

/** TFRecord framing: length, its checksum, data, their checksum. Source: tensorflow, core/lib/io/record_writer.h. */
function record(message: Message): Uint8Array {
  const data = serialise(message)
  const out = new Uint8Array(12 + data.length + 4)
  const view = new DataView(out.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, masked(out.subarray(0, 8)), true)
  out.set(data, 12)
  view.setUint32(12 + data.length, masked(data), true)
  return out
}

/** Rotated and shifted, so that a checksum of data that holds checksums stays sound (core/lib/hash/crc32c.h). */
function masked(data: Uint8Array): number {
  const crc = crc32c(data)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}
