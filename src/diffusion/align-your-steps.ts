import { linspace } from './linspace.js'

/**
 * Noise levels found by Align Your Steps (Sabour et al. 2024) for ten steps of each family, falling.
 *
 * Source: the authors' page, research.nvidia.com/labs/toronto-ai/AlignYourSteps/howto.html, with the digits of ComfyUI,
 * comfy_extras/nodes_align_your_steps.py.
 */
const found = {
  sd1: [
    14.6146412293, 6.4745760956, 3.8636745985, 2.694615152, 1.8841921177, 1.3943805092, 0.9642583904, 0.6523686016,
    0.3977456272, 0.1515232662, 0.0291671582,
  ],
  sdxl: [
    14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141, 0.5550693289, 0.3798540708,
    0.2332364134, 0.1114188177, 0.0291671582,
  ],
  svd: [700, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002],
} as const

/** `steps` falling levels of a family, interpolated in log sigma; the last one found is where the last step would end. */
export function alignedLevels(family: keyof typeof found, steps: number): number[] {
  return logLinear(found[family], steps + 1).slice(0, -1)
}

/** `points` numbers that fall as the given ones do, equally spaced over their index and interpolated in their logarithm. */
export function logLinear(falling: readonly number[], points: number): number[] {
  const last = falling.length - 1
  return Array.from(linspace(0, last, points), place => {
    const low = Math.min(Math.floor(place), last - 1)
    const w = place - low
    return Math.exp((1 - w) * Math.log(falling[low]!) + w * Math.log(falling[low + 1]!))
  })
}
