import { LatentkitError } from '../../../platform/errors.js'
import { type HostTensor, type HostTensors, hostTensor } from '../../../runtime/index.js'
import { type ControlMode, spans } from '../../settings/control.js'
import type { Stage } from '../stage.js'
import { wayOf } from '../way.js'

/** Where a question stands: its time, its blocks, and which of the conditions is what guidance leads away from. */
interface Standing {
  readonly t: number
  readonly blocks: readonly { readonly told: number }[]
  readonly none: number
}

/** How a network that follows a hint acts at a time. */
interface Acting {
  readonly acts: boolean
  readonly mode: ControlMode
}

/**
 * How much ControlNets and T2I-adapters count in a plan, of which conditions, where, and at which time. Sources of modes:
 * sd-webui-controlnet, scripts/hook.py, soft_injection and cfg_injection; ControlNet, gradio_canny2image.py, guess_mode.
 *
 * @throws LatentkitError for settings of more networks than there are.
 */
export function controlling(stage: Stage): (inputs: HostTensors, standing: Standing) => HostTensors {
  const { plan, model } = stage
  const { control, t2i } = model.config.conditioning ?? {}
  const { controlFrom, controlTo, controlMode: modes, profile } = plan
  const windows = spans(controlFrom, controlTo)
  const given = Math.max(windows.length, modes.length)
  const asked = modes.some(mode => mode !== 'balanced') || windows.some(([from, to]) => from > 0 || to < 1)
  if (asked && !control && !t2i)
    throw new LatentkitError(
      'generate: controlFrom, controlTo and controlMode say how ControlNets and T2I-adapters act, and there are none: load one, or leave them out',
    )
  if (given > 1 && given !== control?.weights.length)
    throw new LatentkitError(
      `generate: controlFrom, controlTo and controlMode name ${given} ControlNets, and there are ${control?.weights.length ?? 'none'}: give one value for all or one for each`,
    )
  if (!asked) return inputs => inputs
  const within = sharing(stage)
  const known = new WeakMap<HostTensors, Map<string, HostTensors>>()
  return (inputs, { t, blocks, none }) => {
    const actings = Array.from(
      { length: given },
      (_, i): Acting => ({ acts: within(t, windows[i] ?? windows[0]!), mode: modes[i] ?? modes[0]! }),
    )
    const key = JSON.stringify([actings, blocks])
    const all = known.get(inputs) ?? new Map<string, HostTensors>()
    known.set(inputs, all)
    const negative = (row: number, rows: number) => blocks[Math.floor((row / rows) * blocks.length)]!.told === none
    const made =
      all.get(key) ??
      weighed(inputs, { actings, negative, fading: fadings[profile === 'diffusers' ? 'diffusers' : 'original'] })
    all.set(key, made)
    return made
  }
}

/**
 * Whether a time lies between two shares of the way. Sources: of shares of the time ComfyUI, comfy/model_sampling.py,
 * percent_to_sigma; of shares of the steps diffusers, pipeline_controlnet.py, controlnet_keep, and sd-webui-controlnet,
 * scripts/hook.py, current_sampling_percent.
 */
function sharing({ plan, model }: Stage): (t: number, span: readonly [from: number, to: number]) => boolean {
  const { profile } = plan
  if (profile !== 'diffusers' && profile !== 'a1111') {
    const last = model.config.diffusion!.timesteps - 1
    return (t, [from, to]) => 1 - t / last >= from && 1 - t / last <= to
  }
  const { path } = wayOf({ plan, model })
  const ahead = profile === 'diffusers' ? 1 : 0
  return (t, [from, to]) => {
    // Times are computed from levels and back.
    const done = path.filter(step => step.from.t > t + 1e-3).length
    return done / path.length >= from && (done + ahead) / path.length <= to
  }
}

/** How much less a ControlNet counts at each of so many places, the largest maps first, where the prompt is to count more. */
const fadings = {
  original: (place: number) => 0.825 ** (12 - place),
  /** Source: diffusers, models/controlnets/controlnet.py, guess_mode. */
  diffusers: (place: number, places: number) => 10 ** (place / Math.max(1, places - 1) - 1),
}
/** The same of T2I-adapters, by level. */
const levelFading = [0.25, 0.62, 0.825, 1]

interface Weighing {
  readonly actings: readonly Acting[]
  readonly negative: (row: number, rows: number) => boolean
  readonly fading: (place: number, places: number) => number
}

/** Inputs in which what follows hints counts as much as it acts; of T2I-adapters as the first does. */
function weighed(inputs: HostTensors, { actings, negative, fading }: Weighing): HostTensors {
  const share = ({ acts, mode }: Acting, away: boolean, faded: number) =>
    !acts || (away && mode === 'control') ? 0 : mode === 'balanced' ? 1 : faded
  const scaled = (tensor: HostTensor, by: (row: number, i: number) => number) => {
    const rows = tensor.shape[0]!
    const size = tensor.data.length / rows
    return hostTensor(
      Float32Array.from(tensor.data as Float32Array, (value, i) => value * by(Math.floor(i / size), i % size)),
      tensor.shape,
    )
  }
  return Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]) => {
      const rows = tensor.shape[0]!
      const level = /^feature_(\d+)$/.exec(name)?.[1]
      if (level !== undefined)
        return [name, scaled(tensor, row => share(actings[0]!, negative(row, rows), levelFading[Number(level)] ?? 1))]
      if (name !== 'strength') return [name, tensor]
      const places = tensor.shape[2]!
      const of = (row: number, i: number) => {
        const acting = actings[Math.floor(i / places)] ?? actings[0]!
        return share(acting, negative(row, rows), fading(i % places, places))
      }
      return [name, scaled(tensor, of)]
    }),
  )
}
