import type { Model } from '../pipelines/model.js'
import type { Io } from './io.js'
import { printable } from './printable.js'

/** Tells of tensors in a checkpoint of another tool that were left alone since no network has a place for them. */
export function tellUnplaced({ unplaced, name }: Pick<Model, 'unplaced' | 'name'>, { err }: Pick<Io, 'err'>): void {
  if (unplaced.length === 0) return
  const shown = unplaced.slice(0, 5).join(', ')
  const rest = unplaced.length > 5 ? ' and others: latentkit inspect lists them' : ''
  err(printable(`${name}: ${unplaced.length} tensors have no place in the model and are not used: ${shown}${rest}\n`))
}
