import { z } from 'zod'
import { baseName, fileInfo, gunzip, joinPath, listFolder, openSource } from '#platform'
import { imageExtensions } from '../image/index.js'
import { FileError } from '../platform/errors.js'
import { decodeText } from '../platform/sources.js'
import type { FileSource } from '../platform/types.js'
import { type Annotations, annotationFields, annotationsOf, companions, uniqueWords } from './annotations.js'
import { expandBraces } from './braces.js'
import { type ByteReader, fileReader, pieceReader, pieces } from './byte-reader.js'
import type { Skipped, Source } from './source.js'
import { countSkipped, everySample, type ReadOptions, type Sample } from './source.js'
import { readTar, type TarMember } from './tar.js'

const archive = /\.(tar|tar\.gz|tgz)$/i
/** Above this a member is no picture that anybody trains on. */
const maxPictureBytes = 2 ** 27
const maxTextBytes = 2 ** 20
/** What the parts of a sample are called, as WebDataset has them: the name after its first dot. */
const pictureFields = imageExtensions.map(extension => extension.slice(1)) as readonly string[]
const besideFields = { map: ['map.png', 'seg.png'], hint: ['hint.png', 'hint.jpg', 'hint.webp'] } as const
const textFields = ['txt', 'caption', 'json', 'cls']
const wanted = new Set([...pictureFields, ...Object.values(besideFields).flat(), ...textFields])

const recordSchema = z.object({ ...annotationFields, text: z.string().trim().optional() })

/** The members of one sample, bytes not read where that can wait. */
interface Group {
  readonly key: string
  readonly index: number
  readonly fields: Map<string, Field>
  /** Parts that are no use, for messages. */
  readonly others: string[]
}

interface Field {
  readonly held: number
  bytes(): Promise<Uint8Array>
}

/**
 * Samples of WebDataset shards: tar archives, gzip'd or not, in which neighbours with the same name up to its first dot
 * are one sample: a picture, captions in `.txt` (a line each) or `.json` (`caption`, `captions` or `text`; `class`,
 * `boxes`, `split` as in a `captions.jsonl`), a class in `.cls`, a label map in
 * `.map.png`, what a ControlNet is to follow in `.hint.png`. `from` is a name with braces,
 * some names, or a folder of shards. Shards are read as streams; what is damaged is left out and counted.
 *
 * Throws FileError where a shard does not exist or no shard holds a picture.
 *
 * @example const source = await openShards('laion/{00000..00099}.tar')
 */
export async function openShards(
  from: string | readonly string[],
  { labels = [], signal }: { labels?: readonly string[]; signal?: AbortSignal | undefined } = {},
): Promise<Source> {
  const files = await findShards(from)
  const skipped = countSkipped()
  const source: Source = {
    name: typeof from === 'string' ? from : from.join(', '),
    parts: files.length,
    labels,
    skipped,
    read: (part, options) => readShard(files[part]!, part, skipped, options),
    async *files() {
      for (const path of files) yield { name: baseName(path), path, ...(await stateOf(path)) }
    },
  }
  for await (const _ of everySample(source, [0, 0], signal)) return source
  const reasons = skipped.examples.slice(0, 5).map(({ place, reason }) => `${place} ${reason}`)
  throw new FileError(
    source.name,
    `holds no pictures: looked for ${pictureFields.map(field => `.${field}`).join(', ')} in ${files.length} shards` +
      (reasons.length > 0 ? `; left out: ${reasons.join('; ')}` : ', which are empty'),
  )
}

const isUrl = (path: string) => /^https?:\/\//i.test(path)

async function stateOf(path: string): Promise<{ size: number; modified: number }> {
  const info = isUrl(path) ? undefined : await fileInfo(path)
  return { size: info?.size ?? 0, modified: info?.modified ?? 0 }
}

/** The shards that are there, in order; FileError naming those that are not. */
async function findShards(from: string | readonly string[]): Promise<string[]> {
  const names = [from].flat().flatMap(expandBraces)
  const files: string[] = []
  const missing: string[] = []
  for (const name of names) {
    const info = isUrl(name) ? undefined : await fileInfo(name)
    if (info?.kind === 'folder') {
      const inside = (await listFolder(name)).filter(entry => archive.test(entry.name) && entry.kind === 'file')
      if (inside.length === 0) throw new FileError(name, 'holds no shards: looked for .tar, .tar.gz and .tgz in it')
      files.push(...inside.map(entry => joinPath(name, entry.name)))
    } else if (info || isUrl(name)) files.push(name)
    else missing.push(name)
  }
  if (missing.length === 0) return files
  const more = missing.length > 1 ? ` (${missing.slice(1, 4).join(', ')}${missing.length > 4 ? ', …' : ''})` : ''
  throw new FileError(
    missing[0]!,
    `there is no such shard; ${missing.length} of ${names.length} are missing${more}. Check the numbers in the braces`,
  )
}

async function* readShard(
  path: string,
  part: number,
  skipped: Skipped,
  { from = 0, signal }: ReadOptions = {},
): AsyncGenerator<Sample> {
  const shard = baseName(path)
  const reader = await openReader(path, reason => skipped.add({ place: shard, reason }))
  try {
    for await (const group of groups(reader, path, from, skipped)) {
      signal?.throwIfAborted()
      const place = `${shard}/${group.key}`
      const picture = pictureFields.find(field => group.fields.has(field))
      if (picture === undefined) {
        const found = [...group.fields.keys(), ...group.others].map(field => `.${field}`).join(', ')
        skipped.add({ place, reason: `holds no picture (found ${found || 'nothing'})` })
        continue
      }
      const annotations = await annotate(group.fields)
      if (typeof annotations === 'string') {
        skipped.add({ place, reason: annotations })
        continue
      }
      const { bytes, held } = group.fields.get(picture)!
      const beside = companions.flatMap(kind => {
        const field = besideFields[kind].find(field => group.fields.has(field))
        return field === undefined ? [] : [[kind, group.fields.get(field)!] as const]
      })
      yield {
        ...annotations,
        key: place,
        address: [part, group.index],
        bytes,
        held: beside.reduce((sum, [, field]) => sum + field.held, held),
        ...Object.fromEntries(beside.map(([kind, { bytes }]) => [kind, bytes])),
      }
    }
  } finally {
    await reader.close()
  }
}

/** The bytes of a shard: in place where it is a plain file, as a stream where it is packed or comes over a network. */
async function openReader(path: string, onDamage: (reason: string) => void): Promise<ByteReader> {
  const source = await openSource(path)
  const magic = await source.read(0, Math.min(2, source.size))
  if (magic[0] !== 0x1f || magic[1] !== 0x8b) {
    return source.path === undefined ? pieceReader(pieces(source, 2 ** 23), () => source.close()) : fileReader(source)
  }
  return pieceReader(unpacked(source, onDamage), () => source.close())
}

async function* unpacked(source: FileSource, onDamage: (reason: string) => void): AsyncGenerator<Uint8Array> {
  try {
    yield* gunzip(pieces(source))
  } catch (error) {
    if (error instanceof FileError) throw error
    onDamage(`is damaged gzip data (${(error as Error).message}); what came before it is used`)
  }
}

/** Neighbouring members with the same name up to the first dot of its last part. */
async function* groups(reader: ByteReader, path: string, from: number, skipped: Skipped): AsyncGenerator<Group> {
  const shard = baseName(path)
  let group: Group | undefined
  let next = 0
  let cut: string | undefined
  const members = readTar(reader, {
    maxBytes: maxPictureBytes,
    onProblem({ reason, offset, name, ends }) {
      if (ends) cut = name
      const place = ends || name === undefined ? shard : `${shard}/${printable(name)}`
      skipped.add({ place, reason: ends ? `${reason} (byte ${offset}); what came before it is used` : reason })
    },
  })
  for await (const member of members) {
    const found = /^((?:.*\/)?[^/.][^/.]*)\.([^/]+)$/s.exec(member.name)
    if (!found || !isPlain(member.name)) {
      // Systems leave hidden files behind; those are nobody's samples.
      if (!/(^|\/)\./.test(member.name) || !isPlain(member.name)) {
        skipped.add({
          place: `${shard}/${printable(member.name)}`,
          reason: 'is no name of a sample: wanted KEY.EXTENSION',
        })
      }
      continue
    }
    const [, key, name] = found as unknown as [string, string, string]
    const field = name.toLowerCase()
    if (group?.key !== key) {
      if (group && group.index >= from) yield group
      group = { key, index: next++, fields: new Map(), others: [] }
    }
    if (group.index < from) continue
    if (wanted.has(field)) group.fields.set(field, await fieldOf(member, textFields.includes(field), path, reader))
    else if (group.others.length < 5) group.others.push(field)
  }
  if (group && group.index >= from) {
    if (!cut?.startsWith(`${group.key}.`)) yield group
    else skipped.add({ place: `${shard}/${group.key}`, reason: 'is cut off' })
  }
}

const isPlain = (name: string) => name.length <= 1024 && !/\p{Cc}/u.test(name) && !name.split('/').includes('..')
const printable = (name: string) => JSON.stringify(name.slice(0, 100)).slice(1, -1)

async function fieldOf(member: TarMember, isText: boolean, path: string, { file }: ByteReader): Promise<Field> {
  const { name, size, offset } = member
  if (file && !isText) return { held: 0, bytes: () => readRange(path, offset, size) }
  if (isText && size > maxTextBytes) {
    const refusal = new FileError(name, `has ${size} bytes; texts of at most ${maxTextBytes} are read`)
    return { held: 0, bytes: () => Promise.reject(refusal) }
  }
  const bytes = await member.bytes().catch((error: Error) => error)
  // An archive that is cut off here says so itself.
  if (bytes instanceof Error) return { held: 0, bytes: () => Promise.reject(bytes) }
  return { held: isText ? 0 : bytes.length, bytes: async () => bytes }
}

async function readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
  const source = await openSource(path)
  try {
    return await source.read(offset, length)
  } finally {
    await source.close()
  }
}

/** What the parts of a sample say of it, or why they cannot be used. */
async function annotate(fields: ReadonlyMap<string, Field>): Promise<Annotations | string> {
  const texts = new Map<string, string>()
  for (const field of textFields) {
    try {
      const bytes = await fields.get(field)?.bytes()
      if (bytes) texts.set(field, decodeText(bytes, `.${field}`))
    } catch (error) {
      return `cannot be read: ${(error as Error).message}`
    }
  }
  const record = parseRecord(texts.get('json'))
  if (typeof record === 'string') return record
  const { text, ...known } = record
  const lines = [texts.get('txt'), texts.get('caption')].flatMap(lines => lines?.split('\n') ?? [])
  const annotations = annotationsOf(known)
  const label = annotations.label ?? texts.get('cls')?.trim()
  return {
    ...annotations,
    captions: uniqueWords([...annotations.captions, ...(text ? [text] : []), ...lines.map(line => line.trim())]),
    ...(label && { label }),
  }
}

function parseRecord(json: string | undefined): z.output<typeof recordSchema> | string {
  if (json === undefined) return {}
  let value: unknown
  try {
    // Crawlers write null for what they did not find.
    value = JSON.parse(json, (_, part) => part ?? undefined)
  } catch {
    return 'its .json is not JSON'
  }
  const parsed = recordSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]!
  return `its .json cannot be used: ${path.length > 0 ? `"${path.join('.')}": ` : ''}${message}`
}
