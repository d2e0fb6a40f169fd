import { type RequestField, requestFields, requestShape } from '../../conditioning/index.js'
import { settingsGroup } from './group.js'

const fields = Object.entries<RequestField>(requestFields)

/** What a model is conditioned on beside texts; those that fit into a line are told: `Class: cat`. */
export const conditions = settingsGroup({
  shape: requestShape,
  lines: Object.fromEntries(
    fields.flatMap(([name, { show, parse, label = name[0]!.toUpperCase() + name.slice(1) }]) =>
      show ? [[name, { label, show, ...(parse && { read: parse }) }]] : [],
    ),
  ),
})
