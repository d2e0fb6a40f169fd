import { extensionName, fileInfo, joinPath, readText, walkFiles } from '#platform'
import { imageExtensions } from '../image/index.js'
import { FileError } from '../platform/errors.js'
import type { WalkedFile } from '../platform/types.js'
import { type Companion, companions, uniqueWords } from './annotations.js'
import { type CaptionRecord, parseCaptions } from './captions.js'
import { type Dataset, type Picture, type Problem, readPicture } from './dataset.js'

const captionFile = 'captions.jsonl'
/** Captions are read as a whole: above this a file is refused instead of filling the memory. */
const maxCaptionBytes = { jsonl: 2 ** 28, txt: 2 ** 16 }

/** What is called so belongs to a picture where no record names it: `cat.map.png` beside `cat.jpg`. */
const companionName = new RegExp(`\\.(${companions.join('|')})\\.png$`, 'i')

/** A record with where it stands, what lies beside seen from the dataset's folder. */
type LocatedRecord = CaptionRecord & { readonly place: string }

export interface OpenFolderOptions {
  /**
   * What to do with pictures that are missing or damaged: refuse the folder where one that a record names is missing
   * and let damaged ones fail when they are read; or decode every picture now and leave the bad ones out, counted.
   */
  readonly badPictures?: 'refuse' | 'skip'
  /** The share of lines in caption files that may be broken. */
  readonly maxBrokenShare?: number
  readonly signal?: AbortSignal
}

/**
 * Looks through a folder of pictures, flat or nested: captions come from each `captions.jsonl` (whose paths begin at its
 * own folder) or from a `.txt` beside a picture (a line a caption), labels from records or, without any, from the names
 * of the folders that hold the pictures, label maps and hints from records or a `NAME.map.png` and `NAME.hint.png` beside the picture.
 *
 * Throws FileError where there is no such folder or no picture in it (saying what was looked for and found), where a
 * record's picture is missing, and where too many caption lines are broken.
 *
 * @example const emoji = await openFolder('emoji-128')
 */
export async function openFolder(folder: string, options: OpenFolderOptions = {}): Promise<Dataset> {
  const { badPictures = 'refuse', maxBrokenShare = 0.05, signal } = options
  const files = await listFiles(folder, signal)
  const isPicture = ({ path }: WalkedFile) => (imageExtensions as readonly string[]).includes(extensionName(path))
  const found = new Map(files.filter(isPicture).map(file => [file.relativePath, file]))
  const { records, broken, lines: recordLines } = await readRecords(files)
  let lines = recordLines
  const beside = new Set([...records.values()].flatMap(given => given.flatMap(({ beside }) => Object.values(beside))))
  for (const path of found.keys()) if (companionName.test(path)) beside.add(path)
  const skipped = [...absentFiles(records, found)]
  const pictureFiles = [...found].filter(([path]) => !beside.has(path))
  if (pictureFiles.length === 0) throw noPictures(folder, files, skipped)
  if (skipped.length > 0 && badPictures === 'refuse') throw missing(folder, skipped)
  const lost = new Set(skipped.map(({ place }) => place))
  const texts = new Map(files.filter(({ name }) => extensionName(name) === '.txt').map(f => [f.relativePath, f]))
  let pictures: Picture[] = []
  for (const [path, { size }] of pictureFiles) {
    signal?.throwIfAborted()
    const given = records.get(path) ?? []
    let captions = uniqueWords(given.flatMap(record => record.captions))
    const text = texts.get(path.replace(/\.[^./]*$/, '.txt'))
    if (text && captions.length === 0) {
      lines++
      try {
        captions = uniqueWords((await readCaptions(text, maxCaptionBytes.txt)).split('\n').map(line => line.trim()))
      } catch (error) {
        broken.push({ place: text.relativePath, reason: (error as Error).message })
      }
    }
    const label = records.size > 0 ? given.find(record => record.label)?.label : folderName(path)
    const split = given.find(record => record.split)?.split
    const boxes = given.find(record => record.boxes)?.boxes
    const belongs = (kind: Companion) => {
      const name = path.replace(/\.[^./]*$/, `.${kind}.png`)
      return given.find(record => record.beside[kind])?.beside[kind] ?? (beside.has(name) ? name : undefined)
    }
    const [map, hint] = [belongs('map'), belongs('hint')]
    if (lost.has(map!) || lost.has(hint!)) continue
    pictures.push({
      file: path,
      size,
      captions,
      ...(label && { label }),
      ...(split && { split }),
      ...(boxes && { boxes }),
      ...(map !== undefined && { map }),
      ...(hint !== undefined && { hint }),
    })
  }
  if (broken.length > maxBrokenShare * lines) throw tooManyBroken(folder, broken, lines, maxBrokenShare)
  if (badPictures === 'skip') pictures = await withoutDamaged(folder, pictures, skipped, signal)
  const labels = [...new Set(pictures.flatMap(({ label }) => label ?? []))].sort()
  // One folder of pictures is no class.
  if (labels.length === 1 && records.size === 0) return openUnlabelled(folder, pictures, broken, skipped)
  return { folder, pictures, labels, brokenCaptions: broken, skipped }
}

/** The records of all caption files by the picture's path. */
async function readRecords(files: readonly WalkedFile[]) {
  const records = new Map<string, LocatedRecord[]>()
  const broken: Problem[] = []
  let lines = 0
  for (const file of files.filter(({ name }) => name === captionFile)) {
    const parsed = parseCaptions(await readCaptions(file, maxCaptionBytes.jsonl), file.relativePath)
    lines += parsed.lines
    broken.push(...parsed.broken)
    const base = file.relativePath.slice(0, -captionFile.length)
    for (const { beside, ...record } of parsed.records) {
      const path = base + record.file
      const place = `${file.relativePath} line ${record.line}`
      const located = {
        ...record,
        place,
        beside: Object.fromEntries(Object.entries(beside).map(([kind, path]) => [kind, base + path])),
      }
      const before = records.get(path)
      if (before) before.push(located)
      else records.set(path, [located])
    }
  }
  return { records, broken, lines }
}

/** Pictures and what belongs to them that records name and nobody finds. */
function* absentFiles(
  records: ReadonlyMap<string, readonly LocatedRecord[]>,
  found: ReadonlyMap<string, unknown>,
): Generator<Problem> {
  for (const [path, given] of records) {
    for (const { beside, place } of given) {
      if (!found.has(path)) yield { place: path, reason: `is missing; ${place} names it` }
      for (const [kind, name] of found.has(path) ? Object.entries(beside) : [])
        if (!found.has(name)) yield { place: name, reason: `is missing; ${place} names it as the ${kind} of ${path}` }
    }
  }
}

function openUnlabelled(folder: string, pictures: Picture[], brokenCaptions: Problem[], skipped: Problem[]): Dataset {
  return { folder, pictures: pictures.map(({ label: _, ...rest }) => rest), labels: [], brokenCaptions, skipped }
}

/** All files but hidden ones, which systems and programs leave behind. */
async function listFiles(folder: string, signal: AbortSignal | undefined): Promise<WalkedFile[]> {
  const info = await fileInfo(folder)
  if (info?.kind !== 'folder') {
    const what = info ? 'is a file' : 'does not exist'
    throw new FileError(folder, `${what}; a folder of pictures is wanted${info ? ' (unpack an archive first)' : ''}`)
  }
  const files: WalkedFile[] = []
  for await (const file of walkFiles(folder)) {
    signal?.throwIfAborted()
    if (!/(^|\/)\./.test(file.relativePath)) files.push(file)
  }
  return files
}

async function readCaptions({ path, size }: WalkedFile, maxBytes: number): Promise<string> {
  if (size > maxBytes) throw new FileError(path, `has ${size} bytes; captions of at most ${maxBytes} are read`)
  return readText(path)
}

function folderName(path: string): string | undefined {
  return path.split('/').at(-2)
}

async function withoutDamaged(
  folder: string,
  pictures: readonly Picture[],
  skipped: Problem[],
  signal: AbortSignal | undefined,
): Promise<Picture[]> {
  const good: Picture[] = []
  for (const picture of pictures) {
    signal?.throwIfAborted()
    try {
      await readPicture(folder, picture)
      good.push(picture)
    } catch (error) {
      // A missing codec is no fault of the picture's.
      if (!(error instanceof FileError)) throw error
      skipped.push({ place: picture.file, reason: error.message })
    }
  }
  if (good.length === 0) throw new FileError(folder, `holds ${pictures.length} pictures, all damaged: ${list(skipped)}`)
  return good
}

function noPictures(folder: string, files: readonly WalkedFile[], absent: readonly Problem[]): FileError {
  const kinds = new Map<string, number>()
  for (const { name } of files) {
    const kind = extensionName(name) || 'without extension'
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  const most = [...kinds].sort((a, b) => b[1] - a[1]).slice(0, 5)
  const there =
    most.length > 0 ? `found ${most.map(([kind, count]) => `${count} ${kind}`).join(', ')}` : 'found no files'
  const archives = [...kinds.keys()].some(kind => /^\.(zip|gz|7z|rar)$/.test(kind))
  const streams = [...kinds.keys()].some(kind => /^\.(tar|tgz|parquet)$/.test(kind))
  return new FileError(
    folder,
    `holds no pictures: looked for ${imageExtensions.join(', ')} in it and its folders, ${there}` +
      (archives ? '; unpack the archives first' : '') +
      (streams ? '; name .tar files as shards and .parquet files as parquet instead of folder' : '') +
      (absent.length > 0 ? `; ${absent.length} records name pictures that are missing: ${list(absent)}` : ''),
  )
}

function missing(folder: string, absent: readonly Problem[]): FileError {
  return new FileError(
    joinPath(folder, absent[0]!.place),
    `${absent[0]!.reason}${absent.length > 1 ? `; so are ${absent.length - 1} more` : ''}. ` +
      'Put them there, correct the captions, or let bad pictures be skipped',
  )
}

function tooManyBroken(folder: string, broken: readonly Problem[], lines: number, share: number): FileError {
  return new FileError(
    joinPath(folder, broken[0]!.place),
    `${broken[0]!.reason}; ${broken.length} of ${lines} captions are broken, at most ${100 * share}% may be: ${list(broken)}`,
  )
}

/** The first few problems in words. */
export function list(problems: readonly Problem[], most = 5): string {
  const shown = problems.slice(0, most).map(({ place, reason }) => `${place} ${reason}`)
  return shown.join('; ') + (problems.length > most ? `; and ${problems.length - most} more` : '')
}
