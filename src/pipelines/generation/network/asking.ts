import { type HostTensor, type HostTensors, hostTensor } from '../../../runtime/index.js'
import { weaknessesOf } from '../../network-variant.js'
import type { Told } from '../conditions/told.js'
import type { Batch, Stage } from '../stage.js'
import { controlling } from './control.js'
import { gathered } from './rows.js'

/** All pictures of a batch under one of the conditions that are told: as they are, or (from 1 on) in a weaker copy. */
export interface Block {
  readonly told: number
  readonly weak: number
}

/** What is asked of a network at once: blocks one after the other. */
export interface Question {
  readonly told: Told
  readonly blocks: readonly Block[]
}

/** What a network says of x [blocks * batch, ...]. */
export interface Reply {
  /** Raw predictions. */
  readonly prediction: Float32Array
  /** How much its middle's positions are attended to, [blocks * batch, h, w], where a plan wants to know. */
  readonly attended?: HostTensor | undefined
}

/** Asks about x [blocks * batch, ...] at time t. */
export type Ask = (x: Float32Array, t: number, question: Question) => Promise<Reply>

/** Opens the network of a batch with all that a plan changes in how it is asked. */
export async function openAsking(stage: Stage, { shape: [images, ...one] }: Batch): Promise<Ask> {
  const predict = await openReuse(stage)
  const weakens = weaknessesOf(stage.plan).length > 0
  const select = selection(images)
  const controlled = controlling(stage)
  return (x, t, { told, blocks }) => {
    const rows = images * blocks.length
    const each = (of: (block: Block) => number) =>
      hostTensor(
        Float32Array.from({ length: rows }, (_, i) => of(blocks[Math.floor(i / images)]!)),
        [rows],
      )
    const given = {
      x: hostTensor(x, [rows, ...one]),
      t: each(() => t),
      ...controlled(select(told, blocks), { t, blocks, none: told.weights.length }),
      ...(weakens && { weak: each(({ weak }) => weak) }),
    }
    return predict(given, JSON.stringify(blocks))
  }
}

/** The inputs of blocks, made once for as long as the same is told. */
function selection(images: number): (told: Told, blocks: readonly Block[]) => HostTensors {
  const known = new WeakMap<Told, Map<string, HostTensors>>()
  return (told, blocks) => {
    const order = blocks.map(block => block.told)
    const count = told.weights.length + (told.negative ? 1 : 0)
    if (order.length === count && order.every((place, i) => place === i)) return told.inputs
    const all = known.get(told) ?? new Map<string, HostTensors>()
    known.set(told, all)
    const key = String(order)
    const rows = order.flatMap(place => Array.from({ length: images }, (_, i) => place * images + i))
    const made =
      all.get(key) ??
      Object.fromEntries(Object.entries(told.inputs).map(([name, tensor]) => [name, gathered([tensor], rows)]))
    all.set(key, made)
    return made
  }
}

/** Replies to inputs; `layout` tells which conditions their rows are of. */
type Predict = (given: HostTensors, layout: string) => Promise<Reply>

const replyOf = ({ prediction, attended }: HostTensors): Reply => ({
  prediction: prediction!.data as Float32Array,
  attended,
})

/** The network, of which only the outer blocks are computed at most calls if a plan asks for that. */
async function openReuse({ parts, plan: { deepCache }, signal }: Stage): Promise<Predict> {
  const denoise = await parts.get('denoiser')
  if (deepCache === 1) return async given => replyOf(await denoise(given, { signal }))
  const outer = await parts.get('outer')
  let kept: { readonly layout: string; readonly inner: HostTensors; uses: number } | undefined
  return async (given, layout) => {
    if (kept?.layout === layout && kept.uses < deepCache) {
      kept.uses++
      const { attended, deep } = kept.inner
      return replyOf({ ...(await outer!({ ...given, deep: deep! }, { signal })), ...(attended && { attended }) })
    }
    const inner = await denoise(given, { signal })
    kept = { layout, inner, uses: 1 }
    return replyOf(inner)
  }
}
