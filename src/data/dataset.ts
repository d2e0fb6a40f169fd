import { joinPath, readBytes } from '#platform'
import { decodeImage, flatten, type Image } from '../image/index.js'
import type { Annotations } from './annotations.js'

/** One picture of a dataset: the file and what is known of it. */
export interface Picture extends Annotations {
  /** Path below the dataset's folder, with `/`. */
  readonly file: string
  /** Length of the file in bytes. */
  readonly size: number
  /** A picture whose grey values are the classes of this one's pixels: a path like `file`. */
  readonly map?: string
  /** What a ControlNet is to follow for this one, likewise. */
  readonly hint?: string
}

/** A file that was left out or could not be used, and why. */
export interface Problem {
  /** The file, with the line where it is one of a caption file's: `captions.jsonl line 12`. */
  readonly place: string
  readonly reason: string
}

/** A folder of pictures. */
export interface Dataset {
  readonly folder: string
  readonly pictures: readonly Picture[]
  /** All labels, sorted; their positions are the class numbers. */
  readonly labels: readonly string[]
  /** Lines of caption files that cannot be used, few enough to go on. */
  readonly brokenCaptions: readonly Problem[]
  /** Pictures that were left out because they are missing or damaged. */
  readonly skipped: readonly Problem[]
}

/** Reads and decodes one picture to RGB, transparent parts over white; FileError naming it where it is damaged. */
export async function readPicture(folder: string, { file }: Pick<Picture, 'file'>): Promise<Image> {
  const path = joinPath(folder, file)
  return flatten(await decodeImage(await readBytes(path), { file: path }))
}
