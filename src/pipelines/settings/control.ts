import { z } from 'zod'
import { settingsGroup } from './group.js'
import { oneOf, spaced } from './lines.js'

const shares = z.array(z.number().min(0).max(1)).min(1).max(16)
const modes = ['balanced', 'prompt', 'control'] as const

/** What counts more, the prompt or what a ControlNet follows. */
export type ControlMode = (typeof modes)[number]

/** Both ends of each span; an end that is given once is that of all. */
export const spans = (from: readonly number[], to: readonly number[]): [from: number, to: number][] =>
  Array.from({ length: Math.max(from.length, to.length) }, (_, i) => [from[i] ?? from.at(-1)!, to[i] ?? to.at(-1)!])

const numbers = { show: spaced.show, read: (text: string) => spaced.read(text).map(Number) }

/** When and how networks act that follow pictures. */
export const control = settingsGroup({
  shape: {
    controlFrom: shares
      .default([0])
      .describe(
        'the share of the way at which ControlNets and T2I-adapters begin to act; for each ControlNet if several',
      ),
    controlTo: shares.default([1]).describe('the share of the way at which they end'),
    controlMode: z
      .array(z.enum(modes))
      .min(1)
      .max(16)
      .default(['balanced'])
      .describe(
        'prompt: hints count less where they tell details; control: the same, and guidance leads away from what knows no hint (guess mode)',
      ),
  },
  check: ({ controlFrom, controlTo }) =>
    spans(controlFrom, controlTo).some(([from, to]) => to < from)
      ? { at: 'controlTo', message: 'is before controlFrom' }
      : undefined,
  lines: {
    controlFrom: { label: 'Control from', ...numbers },
    controlTo: { label: 'Control to', ...numbers },
    controlMode: {
      label: 'Control mode',
      show: spaced.show,
      read: text => spaced.read(text).flatMap(word => oneOf(modes)(word) ?? []),
    },
  },
})
