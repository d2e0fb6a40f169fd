import { z } from 'zod'
import { generateSettings } from '../pipelines/settings/index.js'
import type { TaskName } from '../pipelines/tasks/names.js'
import { tasks } from '../pipelines/tasks/table.js'
import type { Command } from '../schema/index.js'
import type { Io } from './io.js'
import { type PaintingFlags, paint, paintingFlags, type Written } from './painting.js'
import { settingFlags } from './setting-flags.js'

/** The command of a task: the flags of generate, with its own before them. */
export function taskCommand(name: TaskName): {
  readonly command: Command
  readonly run: (flags: PaintingFlags, io: Io) => Promise<Written[]>
} {
  const task = tasks[name]
  const { summary, details, examples } = task
  const further = withoutKeys(generateSettings.shape, task.shape)
  const shape = { ...task.shape, ...further }
  const options = z.strictObject({ ...settingFlags(task.shape), ...paintingFlags, ...settingFlags(further) })
  return {
    command: { name, summary, options, forgotten: 'image', examples, ...(details !== undefined && { details }) },
    run: (flags, io) =>
      paint(flags, io, {
        command: name,
        shape,
        start: (model, prompt, options) => task(model, prompt, options as never),
      }),
  }
}

const withoutKeys = <T extends object>(all: T, taken: object): Partial<T> =>
  Object.fromEntries(Object.entries(all).filter(([name]) => !(name in taken))) as Partial<T>
