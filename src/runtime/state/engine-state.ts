import type { InferenceSession, OnnxValue, Tensor } from 'onnxruntime-common'
import type { World } from '../../platform/types.js'

/** What a session reads of a state. */
export interface StateFeed {
  readonly id: number
  /** The array that stands for the parameters. */
  readonly feed: string
  /** What the model calls it. */
  readonly as: string
  readonly parameters: readonly string[]
}

/** What a session uses of a state, and what it reads of others. */
export interface StateUse extends StateFeed {
  /** Parameters whose gradients the session computes. */
  readonly gradients: readonly string[]
  readonly beside: readonly StateFeed[]
}

export type Feeds = Readonly<Record<string, Tensor>>
export type Outputs = Readonly<Record<string, OnnxValue>>

/** A training state in the worker, wherever its numbers are. */
export interface EngineState {
  /** What a session is fed from the state. */
  feeds(use: StateFeed): Feeds
  /** Runs a session, adds `scale` times its gradients to the state's and returns its other outputs. */
  accumulate(session: InferenceSession, use: StateUse, inputs: Feeds, scale: number): Promise<Outputs>
  write(array: string, values: ReadonlyMap<string, Float32Array>): Promise<void>
  read(array: string, names?: readonly string[]): Promise<Map<string, Float32Array<ArrayBuffer>>>
  copy(from: string, to: string): Promise<void>
  /** Makes an array that of process 0. */
  broadcast(array: string, world: World): Promise<void>
  /**
   * Divides gradients by `lossScale`, averages them over all processes, clips and updates; returns their norm. Where that
   * is not finite nothing changes.
   */
  update(
    scalars: Readonly<Record<string, number>>,
    clip: number | undefined,
    world: World,
    lossScale: number,
  ): Promise<number>
  dispose(): Promise<void>
}

/** The factor by which gradients are clipped. Source: torch.nn.utils.clip_grad_norm_. */
export const clipFactor = (norm: number, clip: number | undefined): number =>
  clip === undefined ? 1 : Math.min(1, clip / (norm + 1e-6))

export const nothingAccumulated = (): Error => new Error('update: no gradients were accumulated since the last update')
