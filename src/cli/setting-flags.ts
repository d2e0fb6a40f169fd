import { z } from 'zod'
import { imageSchema, pictureField, type RequestField, requestFields } from '../conditioning/index.js'

const fields = requestFields as Readonly<Record<string, RequestField>>

/** A setting without its default, its being optional, or both. */
function bare(setting: z.ZodType): { inner: z.ZodType; fallback: unknown; needed: boolean } {
  if (setting instanceof z.ZodDefault) {
    const { inner } = bare(setting.unwrap() as z.ZodType)
    return { inner, fallback: setting.def.defaultValue, needed: false }
  }
  if (setting instanceof z.ZodOptional) return { ...bare(setting.unwrap() as z.ZodType), needed: false }
  return { inner: setting, fallback: undefined, needed: true }
}

/** A setting as a flag that may be left out, so that what a picture says can stand in for it; files stand for objects. */
function flagOf(name: string, setting: z.ZodType): z.ZodType | undefined {
  const { inner, fallback, needed } = bare(setting)
  const meta = setting.meta() ?? {}
  const placeholder = fields[name]?.placeholder ?? meta.placeholder
  if (inner instanceof z.ZodCustom || name in fields) {
    const text = needed ? z.string() : z.string().optional()
    return placeholder === undefined ? undefined : text.meta({ ...meta, placeholder })
  }
  const told = fallback === undefined || fallback === '' || fallback === false ? '' : ` (default ${fallback})`
  return (needed ? inner : inner.optional()).meta({ ...meta, description: `${setting.description}${told}` })
}

/** Flags for settings; those that stand in for a default can be left out. Settings that no text can say have none. */
export const settingFlags = (shape: z.ZodRawShape): Record<string, z.ZodType> =>
  Object.fromEntries(
    Object.entries(shape).flatMap(([name, setting]) => {
      const flag = flagOf(name, setting as z.ZodType)
      return flag ? [[name, flag]] : []
    }),
  )

/** The settings that flags say, with their files read. */
export async function settingsOfFlags(
  shape: z.ZodRawShape,
  flags: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  const read: Record<string, unknown> = {}
  for (const [name, setting] of Object.entries(shape)) {
    const value = flags[name]
    if (value === undefined) continue
    const picture = bare(setting as z.ZodType).inner === imageSchema ? pictureField('') : undefined
    const field = fields[name] ?? picture
    read[name] = field && typeof value === 'string' ? await field.read(value) : value
  }
  return read
}
