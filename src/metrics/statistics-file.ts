import { openSource, writeFileAtomic } from '#platform'
import type { FeatureNetwork } from '../perceptual/feature-networks.js'
import { FileError } from '../platform/errors.js'
import type { SourceLike } from '../platform/types.js'
import { encodeNpy, encodeNpyText, readNpy, readNpyText } from '../weights/npy.js'
import { readZipDirectory, readZipEntry } from '../weights/zip.js'
import { encodeZip } from '../weights/zip-write.js'
import type { FeatureSet } from './feature-set.js'

/** The widest features of a published network have 4096 columns. */
const mostColumns = 8192

/**
 * Statistics of a set of pictures, as pytorch-fid keeps them: `mu` and `sigma` in a .npz file. Which network they are of,
 * and of how many pictures, stands there too if latentkit wrote it; otherwise they are taken to be of `network`.
 *
 * @throws FileError for files that hold no statistics, or those of another network.
 */
export async function readStatistics(
  from: SourceLike,
  network: Pick<FeatureNetwork, 'label' | 'published' | 'columns'>,
): Promise<FeatureSet> {
  const source = await openSource(from)
  try {
    const entries = await readZipDirectory(source, { deflated: true })
    const bytesOf = async (name: string) => {
      const entry = entries.get(`${name}.npy`)
      return entry && readZipEntry(source, `${name}.npy`, entry)
    }
    const arrayOf = async (name: string) => {
      const bytes = await bytesOf(name)
      if (bytes === undefined)
        throw new FileError(source.name, `holds no "${name}"; wanted is a .npz with mu and sigma`)
      return readNpy(bytes, `${source.name}: ${name}`)
    }
    const largest = Math.max(...[...entries.values()].map(({ begin, end, unpacked }) => unpacked ?? end - begin), 0)
    if (largest > mostColumns ** 2 * 8 + 4096)
      throw new FileError(
        source.name,
        `holds a record of ${largest} bytes; wanted are mu and sigma of at most ${mostColumns} columns`,
      )
    const [mu, sigma] = [await arrayOf('mu'), await arrayOf('sigma')]
    const columns = mu.data.length
    if (mu.shape.length !== 1 || sigma.shape.join() !== [columns, columns].join()) {
      throw new FileError(
        source.name,
        `holds mu [${mu.shape.join(', ')}] and sigma [${sigma.shape.join(', ')}]; wanted are [columns] and [columns, columns]`,
      )
    }
    if (columns !== network.columns) {
      throw new FileError(
        source.name,
        `holds statistics of ${columns} features; ${network.label} has ${network.columns}`,
      )
    }
    if (![mu, sigma].every(({ data }) => data.every(Number.isFinite))) {
      throw new FileError(source.name, 'holds numbers that are none; make the statistics anew')
    }
    const written = await bytesOf('network')
    const label = written && readNpyText(written)
    if (label !== undefined && label !== network.label) {
      throw new FileError(
        source.name,
        `holds statistics of ${label}, not of ${network.label}; measure with that network`,
      )
    }
    const count = await bytesOf('count')
    const rows = count && readNpy(count, `${source.name}: count`).data[0]
    return {
      network: network.label,
      published: network.published,
      moments: { mean: mu.data, covariance: sigma.data, columns, rows },
    }
  } finally {
    await source.close()
  }
}

/** Writes statistics as a .npz file that pytorch-fid reads, too. */
export async function writeStatistics(path: string, { network, moments }: FeatureSet): Promise<void> {
  const { mean, covariance, columns, rows } = moments
  const records = new Map([
    ['mu.npy', encodeNpy({ shape: [columns], data: mean })],
    ['sigma.npy', encodeNpy({ shape: [columns, columns], data: covariance })],
    ['network.npy', encodeNpyText(network)],
    ...(rows === undefined ? [] : [['count.npy', encodeNpy({ shape: [], data: Float64Array.of(rows) })] as const]),
  ])
  await writeFileAtomic(path, encodeZip(records))
}
