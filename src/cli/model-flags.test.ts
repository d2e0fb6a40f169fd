import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from '../schema/index.js'
import { loraOf } from './model-flags.js'

test('a LoRA is named with one weight, or with those of its parts', () => {
  for (const [text, wanted] of [
    ['style.safetensors', { file: 'style.safetensors' }],
    ['style.safetensors:0.7', { file: 'style.safetensors', weight: 0.7 }],
    ['style:-.5', { file: 'style', weight: -0.5 }],
    ['C:\\loras\\style.safetensors', { file: 'C:\\loras\\style.safetensors' }],
    ['C:\\style.safetensors:1', { file: 'C:\\style.safetensors', weight: 1 }],
    ['org/name:style.safetensors', { file: 'org/name:style.safetensors' }],
    ['a:unet=0.8,text=0.5', { file: 'a', weight: 0.8, textWeight: 0.5 }],
    ['a:0.8,text=0', { file: 'a', weight: 0.8, textWeight: 0 }],
    ['a:text=2,blocks=1/0/0.5', { file: 'a', textWeight: 2, blocks: [1, 0, 0.5] }],
    ['a:0.5,blocks=1,0,-1', { file: 'a', weight: 0.5, blocks: [1, 0, -1] }],
  ] as const)
    assert.deepEqual(loraOf(text), wanted)
})

test('what stands behind a LoRA and is no weight is refused', () => {
  for (const text of ['a:0.7x', 'a:unet=', 'a:text=half', 'a:0.5,0.6', 'a:unet=1,unet=2', 'a:blocks=1//2', 'a:1/2'])
    assert.throws(
      () => loraOf(text),
      (error: Error) =>
        error instanceof UsageError && /--lora: found .* wanted is a weight, as in a:0\.7/.test(error.message),
      text,
    )
})
