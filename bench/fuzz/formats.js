// The formats that latentkit reads: good files of each, how one is read, and what its bytes say by another way.
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { openParquet, openShards } from '../../dist/data/index.js'
import { decodePng, describePng, encodePng } from '../../dist/image/index.js'
import { checkpointModel } from '../../dist/pipelines/loading/checkpoint-model.js'
import { openModelFile } from '../../dist/pipelines/loading/model-file.js'
import { modelConfig } from '../../dist/pipelines/model-config.js'
import { FileError } from '../../dist/platform/errors.js'
import { bytesSource, decodeText } from '../../dist/platform/sources.js'
import { parseConfig } from '../../dist/schema/index.js'
import { tinyWeights } from '../../dist/testing/checkpoint.js'
import { published } from '../../dist/testing/published.js'
import { tinyCheckpoint, tinyConfig } from '../../dist/testing/tiny-model.js'
import { bertTokenizer, bpeTokenizer, clipTokenizer, vocabularySchema } from '../../dist/text/index.js'
import { loraRecipe } from '../../dist/train/adapters/recipes.js'
import { openAdapter } from '../../dist/weights/adapters/index.js'
import { openCheckpoint } from '../../dist/weights/checkpoint.js'
import { autoencoderFromDiffusers, unetFromDiffusers } from '../../dist/weights/diffusers/index.js'
import { fromFloat32 } from '../../dist/weights/dtypes.js'
import { openGguf } from '../../dist/weights/gguf/gguf.js'
import { encodeNpy, readNpy } from '../../dist/weights/npy.js'
import { encodeSafetensors, openSafetensors } from '../../dist/weights/safetensors.js'
import { openSharded } from '../../dist/weights/sharded.js'
import { openTorchFile } from '../../dist/weights/torch/file.js'
import { readWords } from '../../dist/weights/word-file.js'
import { readZipDirectory, readZipEntry } from '../../dist/weights/zip.js'
import { encodeZip } from '../../dist/weights/zip-write.js'
import { ggufSays, npySays, safetensorsSay } from './oracles.js'
import { damagedRecord, repairedPng, repairedTar } from './repair.js'

const fixtures = new URL('../../fixtures/', import.meta.url)
const bytesAt = path => new Uint8Array(readFileSync(new URL(path, fixtures)))
const filesAt = (folder, pattern) =>
  readdirSync(new URL(folder, fixtures))
    .filter(name => pattern.test(name))
    .map(name => bytesAt(folder + name))
const utf8 = text => new TextEncoder().encode(text)

const torch = filesAt('conformance/formats/torch_good/', /\.(pt|ckpt)$/)
const isZip = bytes => bytes[0] === 0x50
const safetensors = filesAt('conformance/formats/safetensors_good/', /\.safetensors$/)
const sharded = name => bytesAt(`conformance/formats/safetensors_good/sharded/${name}`)
const checkpoint = tinyCheckpoint()
const foreign = encodeSafetensors(
  tinyWeights(published.find(({ family }) => family === 'ldm-unconditional').tiny, 'F16'),
)
const adapter = encodeSafetensors(
  new Map(
    ['lora_down.weight', 'lora_up.weight', 'alpha'].map(part => {
      const shape = part === 'alpha' ? [] : [4, 4]
      const values = new Float32Array(part === 'alpha' ? 1 : 16).fill(0.5)
      return [`lora_unet_down_blocks_1_attentions_0_proj_in.${part}`, fromFloat32(values, shape)]
    }),
  ),
  new Map([['ss_network_dim', '4']]),
)
const npy = [
  { shape: [3, 2], data: Float64Array.from([1, -2, 0.5, Number.NaN, 1e300, 0]) },
  { shape: [], data: Float64Array.of(7) },
].map(encodeNpy)

/** Every tensor of an opened file. */
async function tensorsOf(file) {
  const tensors = new Map()
  for (const name of file.tensors.keys()) tensors.set(name, await file.read(name))
  await file.close()
  return tensors
}

async function samplesOf(source) {
  const samples = []
  for (let part = 0; part < source.parts; part++)
    for await (const sample of source.read(part)) samples.push([sample.key, await sample.bytes()])
  return samples
}

const png = (channels, options, alter = image => image) => {
  const data = Uint8Array.from({ length: 7 * 5 * channels }, (_, i) => (i * 37) % 256)
  return alter(sharp(data, { raw: { width: 7, height: 5, channels } }))
    .png(options)
    .toBuffer()
}

/**
 * `read` gives what is in a file or refuses it; `says` gives the same another way, where there is one; `repair` makes
 * checksums fit again, and `damage` replaces the usual mutations. `weight` is the format's share of all files.
 */
export const formats = {
  safetensors: {
    weight: 16,
    seeds: safetensors,
    read: (bytes, file) => openSafetensors(bytesSource(bytes, file)).then(tensorsOf),
    says: safetensorsSay,
  },
  'safetensors index': {
    weight: 4,
    seeds: [sharded('model.safetensors.index.json')],
    read: (bytes, file) =>
      openSharded(bytesSource(bytes, file), async name => {
        if (!/^model-0000[12]-of-00002\.safetensors$/.test(name))
          throw new FileError(`${file}: ${name.slice(0, 80)}`, 'is not there')
        return openSafetensors(bytesSource(sharded(name), name))
      }).then(tensorsOf),
  },
  'torch archive': {
    weight: 12,
    seeds: torch.filter(isZip),
    read: (bytes, file) => openTorchFile(bytesSource(bytes, file)).then(tensorsOf),
    peer: 'torch',
  },
  'torch archive, checksums repaired': {
    weight: 14,
    seeds: torch.filter(isZip),
    damage: damagedRecord,
    read: (bytes, file) => openTorchFile(bytesSource(bytes, file)).then(tensorsOf),
    peer: 'torch',
  },
  'torch before 1.6': {
    weight: 14,
    seeds: torch.filter(bytes => !isZip(bytes)),
    read: (bytes, file) => openTorchFile(bytesSource(bytes, file)).then(tensorsOf),
    peer: 'torch',
  },
  gguf: {
    weight: 14,
    seeds: [bytesAt('conformance/formats/gguf/good.gguf'), bytesAt('weights/k-quants.gguf')],
    read: (bytes, file) => openGguf(bytesSource(bytes, file)).then(tensorsOf),
    says: ggufSays,
  },
  npy: {
    weight: 4,
    seeds: npy,
    async read(bytes, file) {
      const { shape, data } = readNpy(bytes, file)
      return { shape, numbers: [...data] }
    },
    says: npySays,
  },
  npz: {
    weight: 4,
    seeds: [
      new Uint8Array(Buffer.concat(encodeZip(new Map(npy.map((bytes, i) => [`${i}.npy`, bytes]))))),
      bytesAt('weights/deflated.npz'),
    ],
    async read(bytes, file) {
      const source = bytesSource(bytes, file)
      const entries = await readZipDirectory(source, { deflated: true })
      for (const [name, entry] of entries) readNpy(await readZipEntry(source, name, entry), `${file}: ${name}`)
    },
  },
  png: {
    weight: 6,
    seeds: [
      ...filesAt('data/scenes/images/', /^[0-2]\.map\.png$/),
      await png(3, { progressive: true }),
      await png(4, {}),
      await png(3, { palette: true }),
      await png(1, {}, image => image.toColourspace('b-w')),
      await png(3, {}, image => image.toColourspace('rgb16')),
      await encodePng(
        { data: new Uint8Array(48), width: 4, height: 4, channels: 3 },
        { text: { parameters: 'a cat\nSteps: 3' } },
      ),
    ],
    repair: repairedPng,
    async read(bytes, file) {
      await describePng(bytes, file)
      const { width, height, channels, data } = await decodePng(bytes, { file })
      return { width, height, pixels: data.length === width * height * channels }
    },
    async says(bytes) {
      const { width, height } = await sharp(bytes).metadata()
      return { width, height, pixels: true }
    },
  },
  checkpoint: {
    weight: 2,
    seeds: [checkpoint],
    async read(bytes, file) {
      const opened = await openCheckpoint(bytesSource(bytes, file))
      checkpointModel(opened)
    },
  },
  'checkpoint of another tool': {
    weight: 2,
    seeds: [foreign],
    async read(bytes, file) {
      const opened = await openModelFile(new File([bytes], file))
      checkpointModel(opened)
      await opened.close()
    },
  },
  adapter: {
    weight: 2,
    seeds: [adapter],
    read: async (bytes, file) => void (await tensorsOf(await openAdapter(new File([bytes], file)))),
  },
  words: {
    weight: 2,
    seeds: torch.filter(bytes => Buffer.from(bytes).includes('string_to_param')),
    read: async (bytes, file) => void (await readWords(new File([bytes], file))),
  },
  'config of diffusers': {
    weight: 2,
    seeds: ['unet-sd1', 'unet-sdxl', 'autoencoder-kl'].map(name =>
      utf8(
        JSON.stringify(JSON.parse(Buffer.from(bytesAt(`weights/diffusers/${name}.json`)).toString()).diffusersConfig),
      ),
    ),
    async read(bytes, file) {
      const text = decodeText(bytes, file)
      const json = parsed(text, file)
      if (text.includes('AutoencoderKL')) autoencoderFromDiffusers(json, file)
      else unetFromDiffusers(json, file)
    },
  },
  'config in YAML': {
    weight: 2,
    seeds: [
      utf8(JSON.stringify(tinyConfig(), null, 1)),
      utf8(
        'data: {folder: pictures, size: 64}\ntraining:\n  steps: 100\n  batch: 4\n  learning_rate: 1e-3\nlora: &l {rank: 4}\n',
      ),
    ],
    async read(bytes, file) {
      const text = decodeText(bytes, file)
      parseConfig(text, text.includes('first_stage') ? modelConfig : loraRecipe, file)
    },
  },
  vocabulary: {
    weight: 2,
    seeds: [
      utf8('#version: 0.2\ni n\nt h\na n\nr e\na r\ne r\nth e</w>\nin g</w>\n'),
      utf8('[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##a\n##b\ncat\n'),
      utf8('{"kind":"bpe","merges":[[4,5],[260,6]]}'),
    ],
    async read(bytes, file) {
      const text = decodeText(bytes, file)
      const tokenizer = () => {
        if (text.includes('#version')) return clipTokenizer({ merges: text })
        return text.includes('[UNK]') ? bertTokenizer(text) : bpeTokenizer(parseConfig(text, vocabularySchema, file))
      }
      const { ids } = tokenizer().encode('a cat in the garden', 77)
      if (ids.length !== 77) throw new Error(`${ids.length} ids`)
    },
    // What messages call it is said by who opened the file.
    nameless: true,
  },
  shard: {
    weight: 2,
    seeds: filesAt('data/shards/', /\.(tar|gz)$/),
    repair: repairedTar,
    async read(bytes, file, folder) {
      const path = join(folder, `${file}.tar${bytes[0] === 0x1f ? '.gz' : ''}`)
      await writeFile(path, bytes)
      await samplesOf(await openShards(path))
    },
  },
  parquet: {
    weight: 2,
    seeds: filesAt('data/parquet/', /\.parquet$/),
    async read(bytes, file, folder) {
      const path = join(folder, `${file}.parquet`)
      await writeFile(path, bytes)
      await samplesOf(await openParquet(path))
    },
  },
}

function parsed(text, file) {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FileError(file, `is no JSON: ${cause.message.slice(0, 200)}`, { cause })
  }
}
