// Checksums made right again after damage, so that what lies behind them is reached.
import { crc32 } from '../../dist/platform/crc32.js'
import { encodeZip } from '../../dist/weights/zip-write.js'
import { mutate } from './mutate.js'

/** A stored ZIP archive, one of whose records is damaged, with checksums and directory that fit. */
export function damagedRecord(bytes, random) {
  const records = recordsOf(bytes)
  const names = [...records.keys()]
  const pickle = names.find(name => name.endsWith('data.pkl'))
  const name = random.below(3) > 0 ? (pickle ?? names[0]) : random.pick(names)
  const record = records.get(name)
  const { bytes: damaged, kinds } = mutate(record, random, record)
  records.set(name, damaged)
  return { bytes: new Uint8Array(Buffer.concat(encodeZip(records))), kinds }
}

/** The records of a good archive of torch, by the local headers. */
function recordsOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const records = new Map()
  // Sizes stand in the directory: torch leaves them out of some local headers.
  let end = bytes.length - 22
  while (view.getUint32(end, true) !== 0x06054b50) end--
  let at = view.getUint32(end + 16, true)
  for (let i = view.getUint16(end + 10, true); i > 0; i--) {
    const [name, extra, comment] = [28, 30, 32].map(field => view.getUint16(at + field, true))
    const size = view.getUint32(at + 24, true)
    const header = view.getUint32(at + 42, true)
    const begin = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true)
    records.set(Buffer.from(bytes.subarray(at + 46, at + 46 + name)).toString(), bytes.slice(begin, begin + size))
    at += 46 + name + extra + comment
  }
  return records
}

/** A PNG in which every chunk that is still whole has the right checksum. */
export function repairedPng(bytes) {
  const out = bytes.slice()
  const view = new DataView(out.buffer)
  for (let at = 8; at + 12 <= out.length; ) {
    const end = at + 8 + view.getUint32(at)
    if (end + 4 > out.length) break
    view.setUint32(end, crc32(out.subarray(at + 4, end)))
    at = end + 4
  }
  return out
}

/** A tar archive in which every header that can be one has the right sum. */
export function repairedTar(bytes) {
  const out = bytes.slice()
  for (let at = 0; at + 512 <= out.length; at += 512) {
    const header = out.subarray(at, at + 512)
    if (header.every(byte => byte === 0) || !(header[124] === 0x30 || header[124] >= 0x80)) continue
    header.fill(32, 148, 156)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `), 148)
  }
  return out
}
