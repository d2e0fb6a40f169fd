import type { Started } from '../stage.js'
import { classifierFree } from './classifier-free.js'
import type { Guidance, OpenGuidance } from './contract.js'
import { guides } from './guides.js'
import { mimic, rescale } from './limits.js'
import { selfAttention } from './self-attention.js'
import { weaker } from './weaker.js'

/** All guidances in the order in which they act; a new one is a file and a line. */
const chain: readonly OpenGuidance[] = [classifierFree, mimic, weaker, selfAttention, rescale, guides]

/** The guidances of a plan. */
export interface Guidances extends AsyncDisposable {
  readonly all: readonly Guidance[]
}

/** Opens what a plan asks for. Dispose of it when done. */
export async function openGuidances(stage: Started): Promise<Guidances> {
  const all: Guidance[] = []
  const close = async () => {
    for (const guidance of all) await guidance.close?.()
  }
  try {
    for (const open of chain) all.push(...[(await open(stage)) ?? []].flat())
  } catch (error) {
    await close()
    throw error
  }
  return { all, [Symbol.asyncDispose]: close }
}
