import { type RequestField, requestFields, requestShape } from '../../conditioning/index.js'
import { settingsGroup } from './group.js'

const fields = Object.entries<RequestField>(requestFields)
const label = (name: string) => name[0]!.toUpperCase() + name.slice(1)

/** What a model is conditioned on beside texts; those that fit into a line are told: `Class: cat`. */
export const conditions = settingsGroup({
  shape: requestShape,
  show: given =>
    Object.fromEntries(
      fields.map(([name, { show }]) => [label(name), given[name] === undefined ? undefined : show?.(given[name])]),
    ),
  read: lines =>
    Object.fromEntries(
      fields.flatMap(([name, { parse }]) => {
        const text = lines[label(name)]
        return parse && text !== undefined ? [[name, parse(text)]] : []
      }),
    ),
})
