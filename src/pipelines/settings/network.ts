import { z } from 'zod'
import { numberOf, settingsGroup } from './group.js'

const versions = ['1', '2'] as const
const factor = z.number().min(0).max(10)

const shares = z.array(z.number().min(0).max(1)).min(1)

/** Both ends of each span; an end that is given once is that of all. */
export const spans = (from: readonly number[], to: readonly number[]): [from: number, to: number][] =>
  Array.from({ length: Math.max(from.length, to.length) }, (_, i) => [from[i] ?? from.at(-1)!, to[i] ?? to.at(-1)!])

/** Changes of the UNet itself, and what is saved of its work. */
export const network = settingsGroup({
  shape: {
    freeu: z.enum(versions).optional().describe('balance the way up by FreeU, in its first or second version'),
    freeuB1: factor.default(1.5).describe('FreeU: what the deeper levels carry, times this'),
    freeuB2: factor.default(1.6).describe('FreeU: what the next level carries, times this'),
    freeuS1: factor.default(0.9).describe('FreeU: low frequencies that the deeper levels are joined with, times this'),
    freeuS2: factor.default(0.2).describe('FreeU: low frequencies that the next level is joined with, times this'),
    tokenMerging: z
      .number()
      .min(0)
      .max(0.75)
      .default(0)
      .describe('the share of tokens that are merged before self-attention where there are most of them'),
    deepCache: z
      .int()
      .min(1)
      .default(1)
      .describe('compute the deep blocks only at every Nth step, and reuse what they gave in the steps between'),
    deepCacheOuter: z.int().min(1).default(1).describe('how many blocks at either end are computed at every step'),
    controlFrom: shares
      .default([0])
      .describe(
        'the share of the way at which ControlNets and T2I-adapters begin to act; for each ControlNet if several',
      ),
    controlTo: shares.default([1]).describe('the share of the way at which they end'),
  },
  check: ({ controlFrom, controlTo }) =>
    spans(controlFrom, controlTo).some(([from, to]) => to < from)
      ? { at: 'controlTo', message: 'is before controlFrom' }
      : undefined,
  show: ({
    freeu,
    freeuB1,
    freeuB2,
    freeuS1,
    freeuS2,
    tokenMerging,
    deepCache,
    deepCacheOuter,
    controlFrom,
    controlTo,
  }) => ({
    ...(freeu && {
      'FreeU version': freeu,
      'FreeU b1': freeuB1,
      'FreeU b2': freeuB2,
      'FreeU s1': freeuS1,
      'FreeU s2': freeuS2,
    }),
    'Token merging ratio': tokenMerging || undefined,
    ...(deepCache > 1 && { 'DeepCache interval': deepCache, 'DeepCache outer blocks': deepCacheOuter }),
    'Control from': controlFrom.some(from => from > 0) ? controlFrom.join(' ') : undefined,
    'Control to': controlTo.some(to => to < 1) ? controlTo.join(' ') : undefined,
  }),
  read: lines => ({
    freeu: versions.find(version => version === lines['FreeU version']),
    freeuB1: numberOf(lines['FreeU b1']),
    freeuB2: numberOf(lines['FreeU b2']),
    freeuS1: numberOf(lines['FreeU s1']),
    freeuS2: numberOf(lines['FreeU s2']),
    tokenMerging: numberOf(lines['Token merging ratio']),
    deepCache: numberOf(lines['DeepCache interval']),
    deepCacheOuter: numberOf(lines['DeepCache outer blocks']),
    controlFrom: lines['Control from']?.split(' ').map(Number),
    controlTo: lines['Control to']?.split(' ').map(Number),
  }),
})
