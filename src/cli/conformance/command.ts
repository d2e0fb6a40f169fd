import { z } from 'zod'
import { FileError } from '../../platform/errors.js'
import type { Command } from '../../schema/index.js'
import type { Io } from '../io.js'
import { conformance } from './conformance.js'
import { caseJson, caseLine, type Totals, totalsLine } from './report.js'

export const conformanceCommand = {
  name: 'conformance',
  summary: 'Compare latentkit with reference numbers of the original implementations',
  details:
    'Runs every case (a folder with a case.json) below FOLDER and prints a line each: equal, differs, or not built yet. Ends with 1 if any differs.',
  options: z.strictObject({
    folder: z.string().meta({ positional: true }).describe('a folder of reference cases'),
    filter: z.string().optional().meta({ placeholder: 'TEXT' }).describe('only cases whose path contains this'),
    device: z.enum(['cpu', 'wasm', 'webgpu']).default('cpu').describe('where networks run'),
    json: z.boolean().default(false).describe('one JSON object a case, and no totals'),
  }),
  examples: [
    { line: 'latentkit conformance reference', what: 'all cases' },
    { line: 'latentkit conformance reference --filter samplers/ --json', what: 'samplers, for programs' },
  ],
} satisfies Command

/**
 * `latentkit conformance`; the exit status: 1 if a case differs, else 0.
 *
 * Throws FileError where the folder holds no case.
 */
export async function runConformance(flags: z.output<typeof conformanceCommand.options>, io: Io): Promise<0 | 1> {
  const totals: Totals = { equal: 0, differs: 0, 'not-built': 0 }
  const { folder, filter, device, signal } = { ...flags, signal: io.signal }
  for await (const result of conformance(folder, { device, signal, ...(filter !== undefined && { filter }) })) {
    totals[result.status]++
    io.out(`${flags.json ? caseJson(result) : caseLine(result)}\n`)
  }
  if (totals.equal + totals.differs + totals['not-built'] === 0) {
    const wanted = filter === undefined ? 'a case.json' : `a case.json in a folder like "${filter}"`
    throw new FileError(folder, `holds no reference case: ${wanted} was looked for in it and all folders below`)
  }
  if (!flags.json) io.out(`${totalsLine(totals)}\n`)
  return totals.differs > 0 ? 1 : 0
}
