import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readHubName } from './name.js'
import { selectFiles } from './selection.js'

const pipeline = [
  '.gitattributes',
  'README.md',
  'model_index.json',
  'v1-5-pruned.ckpt',
  'v1-5-pruned.safetensors',
  'scheduler/scheduler_config.json',
  'text_encoder/config.json',
  'text_encoder/model.fp16.safetensors',
  'text_encoder/model.safetensors',
  'text_encoder/pytorch_model.bin',
  'text_encoder/flax_model.msgpack',
  'tokenizer/merges.txt',
  'tokenizer/vocab.json',
  'unet/config.json',
  'unet/diffusion_pytorch_model-00001-of-00002.safetensors',
  'unet/diffusion_pytorch_model-00002-of-00002.safetensors',
  'unet/diffusion_pytorch_model.safetensors.index.json',
  'unet/diffusion_pytorch_model.non_ema.safetensors',
  'unet/model.onnx',
  'vae/config.json',
  'vae/diffusion_pytorch_model.bin',
]

test('of a pipeline each part comes with its weights once', () => {
  const selected = selectFiles(pipeline, {})
  assert.deepEqual(
    pipeline.filter(path => !selected.includes(path)),
    [
      '.gitattributes',
      'v1-5-pruned.ckpt',
      'v1-5-pruned.safetensors',
      'text_encoder/model.fp16.safetensors',
      'text_encoder/pytorch_model.bin',
      'text_encoder/flax_model.msgpack',
      'unet/diffusion_pytorch_model.non_ema.safetensors',
      'unet/model.onnx',
    ],
  )
  assert.deepEqual(selectFiles(['a.ckpt', '.gitattributes', 'b.yaml'], {}), ['a.ckpt', 'b.yaml'])
})

test('weights in several files come with all of them and their index, also of a variant and of torch', () => {
  const folder = ['model_index.json', 'unet/config.json']
  for (const weights of [
    [
      'unet/a.fp16-00001-of-00002.safetensors',
      'unet/a.fp16-00002-of-00002.safetensors',
      'unet/a.safetensors.index.fp16.json',
    ],
    ['unet/a-00001-of-00002.bin', 'unet/a-00002-of-00002.bin', 'unet/a.bin.index.json'],
    ['unet/a.fp16.bin'],
  ])
    assert.deepEqual(selectFiles([...folder, ...weights], {}), [...folder, ...weights])
  const both = [
    'unet/a.safetensors',
    'unet/a.fp16-00001-of-00001.safetensors',
    'unet/a.safetensors.index.fp16.json',
    'unet/a.bin',
  ]
  assert.deepEqual(selectFiles([...folder, ...both], {}), [...folder, 'unet/a.safetensors'])
})

test('patterns are those of fnmatch', () => {
  assert.deepEqual(selectFiles(pipeline, { include: ['*.ckpt', 'vae/'], exclude: ['*.bin'] }), [
    'v1-5-pruned.ckpt',
    'vae/config.json',
  ])
  const files = ['a1', 'a2', 'ab', 'a.b', 'a[b', 'a^']
  assert.deepEqual(selectFiles(files, { include: ['a[0-9]'] }), ['a1', 'a2'])
  assert.deepEqual(selectFiles(files, { include: ['a[!0-9]'] }), ['ab', 'a^'])
  assert.deepEqual(selectFiles(files, { include: ['a?b'] }), ['a.b', 'a[b'])
  assert.deepEqual(selectFiles(files, { include: ['a[[]b', 'a[^]'] }), ['a[b', 'a^'])
  assert.equal(selectFiles(pipeline, { include: ['*'] }).length, pipeline.length)
})

test('names of the hub are told from paths', () => {
  const main = { revision: 'main', file: undefined }
  assert.deepEqual(readHubName('org/name'), { id: 'org/name', ...main })
  assert.deepEqual(readHubName('org/name@refs/pr/1'), { id: 'org/name', ...main, revision: 'refs/pr/1' })
  assert.deepEqual(readHubName('o.r_g/n-1:unet/x.safetensors'), {
    id: 'o.r_g/n-1',
    revision: 'main',
    file: 'unet/x.safetensors',
  })
  for (const path of [
    'name',
    '/org/name',
    './org',
    'a/b/c',
    'org/name.ckpt',
    'C:\\org',
    'or--g/name',
    '-org/name',
    'https://a/b',
  ])
    assert.equal(readHubName(path), undefined, path)
  assert.throws(() => readHubName('org/name@../x'), /revision/)
  assert.throws(() => readHubName('org/name:../x'), /file/)
})
