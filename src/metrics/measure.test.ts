import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { deflateRawSync } from 'node:zlib'
import type { Image } from '../image/index.js'
import { crc32 } from '../platform/crc32.js'
import { FileError, LatentkitError } from '../platform/errors.js'
import { testDevice } from '../testing/device.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { uniforms } from '../testing/values.js'
import { fromFloat32 } from '../weights/dtypes.js'
import { encodeNpy, readNpy } from '../weights/npy.js'
import { writeSafetensors } from '../weights/safetensors.js'
import { encodeZip } from '../weights/zip-write.js'
import { openExtractor } from './extractor.js'
import { type FeatureSet, featureSet } from './feature-set.js'
import type { Features } from './features.js'
import { frechetDistance } from './frechet-distance.js'
import { measure } from './measure.js'
import { momentsOf } from './moments.js'
import { collectPairs, openPerceptual } from './pairs.js'
import { readStatistics, writeStatistics } from './statistics-file.js'

const folder = await temporaryFolder()
const device = await testDevice()

function features(seed: number, rows: number, columns: number, shift = 0): Features {
  const uniform = uniforms(seed)
  return { data: Float32Array.from({ length: rows * columns }, () => uniform() + shift), rows, columns }
}

const setOf = (given: Features, published = false): FeatureSet => ({
  network: published ? 'Inception v3, 2015-12-05' : 'SqueezeNet 1.1',
  published,
  moments: momentsOf(given),
  features: given,
})

/** Flat colours with noise. */
function pictures(seed: number, count: number, noise: number): Image[] {
  const uniform = uniforms(seed)
  return Array.from({ length: count }, () => {
    const colour = [uniform(), uniform(), uniform()]
    const data = Uint8Array.from(
      { length: 24 * 20 * 3 },
      (_, i) => 255 * (colour[i % 3]! * (1 - noise) + noise * uniform()),
    )
    return { data, width: 24, height: 20, channels: 3 as const }
  })
}

test('a published name stands only by the published network, and the network by every figure', () => {
  const [a, b] = [features(1, 60, 4), features(2, 60, 4, 0.5)]
  const names = (published: boolean, prefix: '' | 'r') =>
    measure(setOf(a, published), setOf(b, published), ['frechet', 'kernel', 'precision-recall'], { prefix }).map(
      f => f.name,
    )
  assert.deepEqual(names(true, ''), [
    'FID (Inception v3, 2015-12-05)',
    'KID (Inception v3, 2015-12-05)',
    'precision (Inception v3, 2015-12-05)',
    'recall (Inception v3, 2015-12-05)',
  ])
  assert.equal(names(true, 'r')[0], 'rFID (Inception v3, 2015-12-05)')
  assert.deepEqual(names(false, '').slice(0, 2), [
    'Fréchet distance (SqueezeNet 1.1)',
    'kernel distance (SqueezeNet 1.1)',
  ])
  assert.throws(() => measure(setOf(a, true), setOf(b), ['frechet']), /same network/)
  const scored = { ...setOf(a, true), logits: features(3, 60, 5) }
  assert.equal(measure(scored, scored, ['inception-score'])[0]!.name, 'Inception score (Inception v3, 2015-12-05)')
  assert.throws(() => measure(setOf(a), setOf(b), ['inception-score']), /without a classifier/)
})

test('moments taken piece by piece are those of all at once', () => {
  const all = features(4, 50, 6, 1000)
  const { mean, covariance } = momentsOf(all)
  const expected = (f: (row: number) => number) =>
    Array.from({ length: 50 }, (_, row) => f(row)).reduce((a, b) => a + b)
  const at = (row: number, column: number) => all.data[row * 6 + column]!
  for (const i of [0, 5]) {
    assert.ok(Math.abs(mean[i]! - expected(row => at(row, i)) / 50) < 1e-9)
    for (const j of [0, 3]) {
      const value = expected(row => (at(row, i) - mean[i]!) * (at(row, j) - mean[j]!)) / 49
      assert.ok(Math.abs(covariance[i * 6 + j]! - value) < 1e-9)
    }
  }
  assert.ok(Math.abs(frechetDistance(momentsOf(all), all)) < 1e-9)
})

test('statistics are written as pytorch-fid reads them, read as it writes them, refused where they are others', async () => {
  const set = setOf(features(5, 30, 3))
  const path = join(folder, 'statistics.npz')
  const network = { label: set.network, published: false, columns: 3 }
  await writeStatistics(path, set)
  const { features: _, ...statistics } = set
  assert.deepEqual(await readStatistics(path, network), statistics)
  await assert.rejects(
    readStatistics(path, { ...network, label: 'VGG16' }),
    /statistics of SqueezeNet 1.1, not of VGG16/,
  )
  await assert.rejects(readStatistics(path, { ...network, columns: 4 }), /of 3 features/)
  // numpy.savez_compressed of mu and sigma alone.
  const compressed = join(folder, 'compressed.npz')
  const { mean, covariance } = set.moments
  const arrays = {
    'mu.npy': encodeNpy({ shape: [3], data: mean }),
    'sigma.npy': encodeNpy({ shape: [3, 3], data: covariance }),
  }
  await writeFile(compressed, deflatedZip(arrays))
  const read = await readStatistics(compressed, network)
  assert.deepEqual([read.moments.mean, read.moments.covariance, read.moments.rows], [mean, covariance, undefined])
  assert.throws(() => measure(set, read, ['kernel']), /needs the pictures/)
  const broken = deflatedZip(arrays)
  broken[60]! ^= 0xff
  for (const bytes of [broken, encodeZip(new Map([['mu.npy', arrays['mu.npy']]])), [new Uint8Array(9)]]) {
    await writeFile(compressed, Array.isArray(bytes) ? Buffer.concat(bytes) : bytes)
    await assert.rejects(readStatistics(compressed, network), FileError)
  }
  const objects = new TextEncoder().encode("\x93NUMPY\x01\x00\x16\x00{'descr': '|O', 'shape'")
  assert.throws(() => readNpy(objects, 'x.npy'), FileError)
})

/** What numpy.savez_compressed writes. */
function deflatedZip(files: Record<string, Uint8Array>): Uint8Array {
  const pieces: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [name, data] of Object.entries(files)) {
    const packed = deflateRawSync(data)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(8, 4)
    common.writeUInt32LE(crc32(data), 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(data.length, 18)
    common.writeUInt16LE(name.length, 22)
    pieces.push(Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name), packed)
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(offset, 10)
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, tail, Buffer.from(name))
    offset += 30 + name.length + packed.length
  }
  const listed = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(Object.keys(files).length, 8)
  end.writeUInt16LE(Object.keys(files).length, 10)
  end.writeUInt32LE(listed.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...pieces, listed, end])
}

test('the bundled network tells pictures apart, and as many are kept as asked', async () => {
  await using extractor = await openExtractor(device)
  const [clean, again, noisy] = await Promise.all(
    [pictures(1, 5, 0), pictures(2, 5, 0), pictures(3, 5, 1)].map(images =>
      featureSet(extractor, images, { batch: 2, keep: 4 }),
    ),
  )
  assert.deepEqual([clean!.moments.rows, clean!.features!.rows, clean!.features!.columns], [5, 4, 512])
  assert.ok(frechetDistance(clean!.moments, again!.moments) < frechetDistance(clean!.moments, noisy!.moments))
  await writeFile(join(folder, 'none.safetensors'), encodeNothing())
  await assert.rejects(openExtractor(device, { weights: join(folder, 'none.safetensors') }), /no known feature network/)
})

function encodeNothing(): Uint8Array {
  const header = '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
  const bytes = Buffer.alloc(8 + header.length + 4)
  bytes.writeBigUInt64LE(BigInt(header.length))
  bytes.write(header, 8)
  return bytes
}

test('pairs: equal pictures are met, the distance that is no LPIPS is not called so', async () => {
  await using perceptual = await openPerceptual(device)
  const [a, b] = [pictures(1, 2, 0.2), pictures(2, 2, 0.2)]
  const figures = async (others: readonly Image[]) => {
    const pairs = collectPairs(['psnr', 'ssim', 'perceptual'], perceptual)
    for (const [i, image] of a.entries()) await pairs.add(image, others[i]!)
    return pairs.figures()
  }
  const [same, other] = [await figures(a), await figures(b)]
  assert.deepEqual(
    same.map(({ value }) => Math.round(value * 1e6) / 1e6),
    [100, 1, 0],
  )
  assert.ok(other[0]!.value < 30 && other[2]!.value > 0.01)
  assert.match(same[2]!.name, /not LPIPS/)
  // The published name takes a network and heads for it.
  const network = fileURLToPath(new URL('../../models/squeezenet1_1_features.safetensors', import.meta.url))
  const heads = join(folder, 'heads.safetensors')
  const widths = [64, 128, 256, 384, 384, 512, 512]
  const head = (width: number) => fromFloat32(new Float32Array(width).fill(1 / width), [1, width, 1, 1])
  await writeSafetensors(heads, new Map(widths.map((width, i) => [`lin${i}.model.1.weight`, head(width)])))
  await using lpips = await openPerceptual(device, [network, heads])
  assert.equal(lpips.name, 'LPIPS (SqueezeNet 1.1)')
  assert.equal(await lpips.distance(a[0]!, a[0]!), 0)
  assert.ok((await lpips.distance(a[0]!, b[0]!)) > 0.001)
  await assert.rejects(openPerceptual(device, [network]), /together with its heads/)
  await assert.rejects(openPerceptual(device, [join(folder, 'none.safetensors')]), LatentkitError)
})
