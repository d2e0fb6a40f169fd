import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from './crc32c.js'
import { fileVersion, images, scalars, sessionStart } from './tensorboard.js'

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

test('CRC-32C has the check values of RFC 3720', () => {
  assert.equal(crc32c(new TextEncoder().encode('123456789')), 0xe3069283)
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa)
  assert.equal(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43)
})

/** Fields of a message as [number, wire type, value], read as the protocol buffers' documentation says. */
function fieldsOf(data: Uint8Array): [number, number, number | Uint8Array][] {
  const fields: [number, number, number | Uint8Array][] = []
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  let at = 0
  const varint = () => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = data[at++]!
      value += (byte & 127) * shift
      if (byte < 128) return value
    }
  }
  while (at < data.length) {
    const key = varint()
    const kind = key & 7
    let value: number | Uint8Array
    if (kind === 0) value = varint()
    else if (kind === 1) value = view.getFloat64((at += 8) - 8, true)
    else if (kind === 5) value = view.getFloat32((at += 4) - 4, true)
    else {
      const length = varint()
      value = data.subarray(at, (at += length))
    }
    fields.push([key >>> 3, kind, value])
  }
  return fields
}

function unframed(record: Uint8Array): Uint8Array {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  const length = Number(view.getBigUint64(0, true))
  assert.equal(record.length, length + 16)
  const unmask = (masked: number) => {
    const rotated = (masked - 0xa282ead8) >>> 0
    return ((rotated >>> 17) | (rotated << 15)) >>> 0
  }
  assert.equal(unmask(view.getUint32(8, true)), crc32c(record.subarray(0, 8)))
  assert.equal(unmask(view.getUint32(12 + length, true)), crc32c(record.subarray(12, 12 + length)))
  return record.subarray(12, 12 + length)
}

test('the first record names the version', () => {
  const [time, version] = fieldsOf(unframed(fileVersion(1.5)))
  assert.deepEqual(time, [1, 1, 1.5])
  assert.equal(version![0], 3)
  assert.equal(text(version![2] as Uint8Array), 'brain.Event:2')
})

test('scalars are events with time, step and one value a tag', () => {
  const [time, step, summary] = fieldsOf(unframed(scalars({ seconds: 1.75e9, step: 300 }, { loss: 0.5, 'a/b': -2 })))
  assert.deepEqual(time, [1, 1, 1.75e9])
  assert.deepEqual(step, [2, 0, 300])
  assert.equal(summary![0], 5)
  const values = fieldsOf(summary![2] as Uint8Array).map(([number, , value]) => {
    assert.equal(number, 1)
    const [tag, simple] = fieldsOf(value as Uint8Array)
    return [tag![0], text(tag![2] as Uint8Array), ...simple!]
  })
  assert.deepEqual(values, [
    [1, 'loss', 2, 5, 0.5],
    [1, 'a/b', 2, 5, -2],
  ])
})

test('images carry their size and PNG; a start event has status 1', () => {
  const png = Uint8Array.of(137, 80, 78, 71)
  const [, , summary] = fieldsOf(unframed(images({ seconds: 0, step: 1 }, { grid: { png, width: 640, height: 320 } })))
  const [, image] = fieldsOf(fieldsOf(summary![2] as Uint8Array)[0]![2] as Uint8Array)
  assert.equal(image![0], 4)
  assert.deepEqual(
    fieldsOf(image![2] as Uint8Array).map(([number, , value]) => [
      number,
      typeof value === 'number' ? value : [...value],
    ]),
    [
      [1, 320],
      [2, 640],
      [3, 3],
      [4, [...png]],
    ],
  )
  const [, , session] = fieldsOf(unframed(sessionStart({ seconds: 0, step: 9 })))
  assert.equal(session![0], 7)
  assert.deepEqual(fieldsOf(session![2] as Uint8Array), [[1, 0, 1]])
})
