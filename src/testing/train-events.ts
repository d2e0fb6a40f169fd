import type { TrainEvent } from '../train/events.js'

/** All events of a run. */
export async function all(run: AsyncIterable<TrainEvent>): Promise<TrainEvent[]> {
  const events: TrainEvent[] = []
  for await (const event of run) events.push(event)
  return events
}

/** The loss of each step. */
export const losses = (events: readonly TrainEvent[]): number[] =>
  events.flatMap(event => (event.type === 'step' ? [event.loss] : []))
