import { z } from 'zod'
import type { Problem } from './dataset.js'

const words = z.string().trim()
const record = z
  .object({
    file: z.string().min(1).optional(),
    image: z.string().min(1).optional(),
    caption: words.optional(),
    captions: z.array(words).optional(),
    label: z.union([z.string(), z.number()]).transform(String).optional(),
    split: z.string().optional(),
  })
  .refine(({ file, image }) => file ?? image, 'names no picture ("file" or "image")')

/** One line of a `captions.jsonl`. */
export interface CaptionRecord {
  /** As the line has it, with `/`: below the folder of the caption file. */
  readonly file: string
  readonly line: number
  readonly captions: readonly string[]
  readonly label?: string
  readonly split?: string
}

/**
 * Reads the text of a `captions.jsonl`: on each line an object with `file` or `image`, and `caption`, `captions`,
 * `label`, `split` as far as known. Lines that cannot be used come back as problems; `place` is what these call the file.
 */
export function parseCaptions(
  text: string,
  place: string,
): { records: CaptionRecord[]; broken: Problem[]; lines: number } {
  const records: CaptionRecord[] = []
  const broken: Problem[] = []
  text.split('\n').forEach((line, i) => {
    if (line.trim() === '') return
    const problem = (reason: string) => broken.push({ place: `${place} line ${i + 1}`, reason })
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      problem('is not JSON')
      return
    }
    const parsed = record.safeParse(value)
    if (!parsed.success) {
      const { path, message } = parsed.error.issues[0]!
      problem(path.length > 0 ? `"${path.join('.')}": ${message}` : message)
      return
    }
    const { file, image, caption, captions = [], label, split } = parsed.data
    records.push({
      file: (file ?? image)!.replaceAll('\\', '/').replace(/^(\.\/)+/, ''),
      line: i + 1,
      captions: uniqueWords([...(caption === undefined ? [] : [caption]), ...captions]),
      ...(label === undefined ? {} : { label }),
      ...(split === undefined ? {} : { split }),
    })
  })
  return { records, broken, lines: records.length + broken.length }
}

/** Each caption once and none that is empty. */
export function uniqueWords(captions: readonly string[]): string[] {
  return [...new Set(captions)].filter(caption => caption !== '')
}
