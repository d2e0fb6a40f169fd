/** Names of all tasks, which are commands too; apart from the table, so that a command line loads none that it does not run. */
export const taskNames = [
  'image-to-image',
  'inpaint',
  'outpaint',
  'depth-to-image',
  'upscale',
  'hires',
  'panorama',
  'variations',
  'interpolate',
] as const

/** Name of a task in `tasks`. */
export type TaskName = (typeof taskNames)[number]
