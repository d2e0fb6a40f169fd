import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytesSource } from '../../platform/sources.js'
import { toFloat32 } from '../dtypes.js'
import { openGguf } from './gguf.js'

const text = (value: string) => [...u64(value.length), ...new TextEncoder().encode(value)]
const u32 = (value: number) => [...new Uint8Array(Uint32Array.of(value).buffer)]
const u64 = (value: number) => [...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)]

/** A file of one tensor in rows of 32, of F32 or of Q8_0 blocks, that says how it was shaped before. */
function fileOf(type: 'F32' | 'Q8_0', before: readonly number[]): Uint8Array {
  const [array, int32] = [9, 5]
  const values = [
    ...text('comfy.gguf.orig_shape.conv.weight'),
    ...u32(array),
    ...[...u32(int32), ...u64(before.length), ...before.flatMap(size => u32(size))],
  ]
  const numbers = Float32Array.from({ length: 288 }, (_, i) => i % 100)
  const block = (i: number) => [0x00, 0x3c, ...numbers.subarray(32 * i, 32 * i + 32)]
  const data =
    type === 'F32' ? [...new Uint8Array(numbers.buffer)] : Array.from({ length: 9 }, (_, i) => block(i)).flat()
  const tensor = [...text('conv.weight'), ...u32(2), ...u64(32), ...u64(9), ...u32(type === 'F32' ? 0 : 8), ...u64(0)]
  const head = [...new TextEncoder().encode('GGUF'), ...u32(3), ...u64(1), ...u64(1), ...values, ...tensor]
  return Uint8Array.from([...head, ...new Array(-head.length & 31).fill(0), ...data])
}

test('tensors that ComfyUI-GGUF brought into rows of whole blocks have their own shape again', async () => {
  for (const type of ['F32', 'Q8_0'] as const) {
    const file = await openGguf(bytesSource(fileOf(type, [8, 4, 3, 3]), 'unet.gguf'))
    const tensor = await file.read('conv.weight')
    assert.deepEqual(tensor.shape, [8, 4, 3, 3])
    assert.deepEqual([...toFloat32(tensor)].slice(98, 103), [98, 99, 0, 1, 2])
  }
})

test('a shape of another size is refused', async () => {
  for (const before of [[8, 4, 3], [], [-8, -4, 3, 3], [288, 1, 0]])
    await assert.rejects(
      openGguf(bytesSource(fileOf('F32', before), 'unet.gguf')),
      /unet\.gguf: says that tensor "conv\.weight" \[9,32\] was/,
    )
})
