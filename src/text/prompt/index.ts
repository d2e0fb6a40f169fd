export { type Chunk, type Lexicon, lexiconOf } from './chunk.js'
export { promptStages, type Stage, type Steps, stageAt } from './edits.js'
export { type ReadOptions, type ReadPhrase, type ReadPrompt, type ReadStage, readPrompt } from './read.js'
export { type PromptStyle, type PromptStyleName, promptStyles } from './styles.js'
