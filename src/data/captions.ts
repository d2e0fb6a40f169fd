import { z } from 'zod'
import { type Annotations, annotationFields, annotationsOf, type Companion } from './annotations.js'
import type { Problem } from './dataset.js'

const record = z
  .object({ file: z.string().min(1).optional(), image: z.string().min(1).optional(), ...annotationFields })
  .refine(({ file, image }) => file ?? image, 'names no picture ("file" or "image")')

/** One line of a `captions.jsonl`. */
export interface CaptionRecord extends Annotations {
  /** As the line has it, with `/`: below the folder of the caption file. */
  readonly file: string
  readonly line: number
  /** Where a label map or hint of the picture's is, a path like `file`. */
  readonly beside: Readonly<Partial<Record<Companion, string>>>
}

/**
 * Reads the text of a `captions.jsonl`: on each line an object with `file` or `image`, and `caption`, `captions`,
 * `class` (or `label`), `boxes`, `map`, `hint`, `split` as far as known. Lines that cannot be used come back as problems; `place` is what these call the file.
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
    const { file, image, map, hint, ...annotations } = parsed.data
    records.push({
      file: plainPath((file ?? image)!),
      line: i + 1,
      ...annotationsOf(annotations),
      beside: { ...(map && { map: plainPath(map) }), ...(hint && { hint: plainPath(hint) }) },
    })
  })
  return { records, broken, lines: records.length + broken.length }
}

const plainPath = (path: string) => path.replaceAll('\\', '/').replace(/^(\.\/)+/, '')
