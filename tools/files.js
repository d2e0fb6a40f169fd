// The files under a folder, for the other tools.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** All files under `folder` whose name ends with `ending`, sorted. */
export function filesUnder(folder, ending) {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
  return names
    .filter(entry => entry.isFile() && entry.name.endsWith(ending))
    .map(entry => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
}
