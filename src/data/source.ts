import { FileError } from '../platform/errors.js'
import type { Annotations } from './annotations.js'
import type { Picture, Problem } from './dataset.js'

/** Where a sample lies in its source: the part, and its place in that. */
export type Address = readonly [part: number, index: number]

/** One picture of a source, not yet read, with what is known of it. */
export interface Sample extends Annotations {
  /** What it is called, the same in every run: a path below the folder, or a shard's name and the sample's in it. */
  readonly key: string
  readonly address: Address
  /** The picture's file, not decoded; FileError where it cannot be read any more. */
  bytes(): Promise<Uint8Array>
  /** The file of a picture whose grey values are the classes of this one's pixels. */
  readonly map?: () => Promise<Uint8Array>
  /** The file of the picture that a ControlNet is to follow. */
  readonly hint?: () => Promise<Uint8Array>
  /** Bytes that this object keeps in memory because its source cannot go back for them. */
  readonly held: number
}

/**
 * Where samples come from. A folder, tar shards, Parquet files and cached latents are sources; everything that draws,
 * shuffles, sorts into buckets and resumes is written once, over this.
 */
export interface Source<S extends Sample = Sample> {
  /** What messages call it. */
  readonly name: string
  /** How many parts there are that can be read on their own: pictures, shards, groups of rows. */
  readonly parts: number
  /** All classes, sorted, as far as they are known beforehand; a label's position is its class number. */
  readonly labels: readonly string[]
  /** The samples of a part in their order; damaged ones are left out and noted in `skipped`. */
  read(part: number, options?: ReadOptions): AsyncGenerator<S>
  /** What was left out so far. */
  readonly skipped: Skipped
  /** The files it is made of, by whose digests whatever was computed from them is known to be theirs. */
  files(): AsyncIterable<SourceFile>
  /** What is known of each part without reading it, where parts are the pictures of a folder. */
  readonly pictures?: readonly Picture[]
}

export interface ReadOptions {
  /** The first sample wanted, 0 by default. */
  readonly from?: number
  readonly signal?: AbortSignal | undefined
}

export interface SourceFile {
  readonly name: string
  readonly path: string
  /** Bytes, and time of the last change in milliseconds since 1970, where they are known without asking a server. */
  readonly size: number
  readonly modified: number
}

/** Samples and parts of shards that were left out, counted, each place once however often it is met. */
export interface Skipped {
  readonly count: number
  /** The first of them. */
  readonly examples: readonly Problem[]
  add(problem: Problem): void
}

const examplesKept = 20

/** A count of what is left out that keeps only the first reasons. */
export function countSkipped(): Skipped {
  // Digests of places instead of the places: a web of damaged samples must not fill the memory.
  const seen = new Set<number>()
  const examples: Problem[] = []
  return {
    get count() {
      return seen.size
    },
    examples,
    add(problem) {
      const digest = hash(problem.place) * 2 ** 21 + (hash(`${problem.place}\0`) >>> 11)
      if (seen.has(digest)) return
      seen.add(digest)
      if (examples.length < examplesKept) examples.push(problem)
    },
  }
}

/**
 * Whether a sample is kept from training to measure with: as its record says (all but `train` are), else by chance of
 * its key, so that more samples move none of the old.
 */
export function isHeldOut({ key, split }: Pick<Sample, 'key' | 'split'>, share = 0.05): boolean {
  return split === undefined ? hash(key) < share * 2 ** 32 : split !== 'train'
}

/**
 * A sample's class number, or undefined where it has no class: the label's position among the classes, or the number
 * that it is where a source knows no classes beforehand.
 *
 * Throws FileError for a label that is neither.
 */
export function classOf({ name, labels }: Pick<Source, 'name' | 'labels'>, { key, label }: Sample): number | undefined {
  if (label === undefined) return undefined
  const at = labels.indexOf(label)
  if (at >= 0) return at
  if (labels.length === 0 && /^\d{1,9}$/.test(label)) return Number(label)
  const wanted = labels.length > 0 ? `one of ${labels.slice(0, 8).join(', ')}` : 'a number, or classes named in data'
  throw new FileError(name, `the class of ${key} is ${JSON.stringify(label)}; wanted ${wanted}`)
}

/** The samples at some addresses, in the order of these; FileError where one is not there any more. */
export async function samplesAt<S extends Sample>(source: Source<S>, addresses: readonly Address[]): Promise<S[]> {
  const found = new Map<string, S>()
  const byPart = new Map<number, Set<number>>()
  for (const [part, index] of addresses) byPart.set(part, (byPart.get(part) ?? new Set()).add(index))
  for (const [part, left] of byPart) {
    for await (const sample of source.read(part, { from: Math.min(...left) })) {
      if (left.delete(sample.address[1])) found.set(String(sample.address), sample)
      if (left.size === 0) break
    }
  }
  return addresses.map(address => {
    const sample = found.get(String(address))
    if (sample) return sample
    throw new FileError(source.name, `sample ${address[1]} of part ${address[0]} is gone: it changed during the run`)
  })
}

/** All samples in the order of storage, from an address on. */
export async function* everySample<S extends Sample>(
  source: Source<S>,
  [part, index]: Address = [0, 0],
  signal?: AbortSignal,
): AsyncGenerator<S> {
  for (let i = part; i < source.parts; i++) yield* source.read(i, { from: i === part ? index : 0, signal })
}

/** FNV-1a with the mixing of MurmurHash3 behind it, whose bits are all even: 0 to 2^32 - 1. */
export function hash(text: string): number {
  let h = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
