/** Anything that answers a prompt with text. */
export interface LanguageModel {
  /**
   * One answer, bounded in length. Throws `Fault` `model_unavailable` when there is none in time; rejects with the
   * signal's reason when the caller went away.
   */
  write(prompt: ModelPrompt, signal: AbortSignal): Promise<string>
}

export interface ModelPrompt {
  /** What the model is to do. */
  readonly instructions: string
  /** What it is to do it with. */
  readonly text: string
}
