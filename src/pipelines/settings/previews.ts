import { z } from 'zod'
import { settingsGroup } from './group.js'

/** What is shown while a generation works. */
export const previews = settingsGroup({
  shape: { previewEvery: z.int().positive().optional().describe('steps between two previews') },
})
