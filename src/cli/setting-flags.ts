import { z } from 'zod'
import { pictureField, type RequestField, requestFields } from '../conditioning/index.js'

const fields = requestFields as Readonly<Record<string, RequestField>>

/** What a setting says of itself, in any of the layers that give it a default or let it be left out. */
interface Bare {
  readonly inner: z.ZodType
  readonly meta: Readonly<Record<string, unknown>>
  readonly fallback?: unknown
  readonly needed: boolean
}

/** A setting without its default, its being optional, or both. */
function bare(setting: z.ZodType): Bare {
  const meta = setting.meta() ?? {}
  if (!(setting instanceof z.ZodDefault || setting instanceof z.ZodOptional))
    return { inner: setting, meta, needed: true }
  const below = bare(setting.unwrap() as z.ZodType)
  const fallback = setting instanceof z.ZodDefault ? setting.def.defaultValue : below.fallback
  return { ...below, meta: { ...below.meta, ...meta }, fallback, needed: false }
}

/** A setting as a flag that may be left out, so that what a picture says can stand in for it; files stand for objects. */
function flagOf(name: string, setting: z.ZodType): z.ZodType | undefined {
  const { inner, meta, fallback, needed } = bare(setting)
  const placeholder = fields[name]?.placeholder ?? (meta.placeholder as string | undefined)
  const plain = inner instanceof z.ZodEnum || inner instanceof z.ZodNumber
  if (inner instanceof z.ZodCustom || (name in fields && !plain)) {
    const text = needed ? z.string() : z.string().optional()
    return placeholder === undefined ? undefined : text.meta({ ...meta, placeholder })
  }
  const told = fallback === undefined || fallback === '' || fallback === false ? '' : ` (default ${fallback})`
  const description = `${meta.description}${told}`
  return (needed ? inner : inner.optional()).meta({ ...meta, ...(placeholder && { placeholder }), description })
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
    const picture = bare(setting as z.ZodType).meta.picture === true ? pictureField('') : undefined
    const field = fields[name] ?? picture
    read[name] = field && typeof value === 'string' ? await field.read(value) : value
  }
  return read
}
