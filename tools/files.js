// The files under a folder, for the other tools.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** All files in `folder`, and unless `deep` is false below it, whose name ends with `ending`, sorted. */
export function filesUnder(folder, ending, deep = true) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: deep, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith(ending))
    .map(entry => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
}
