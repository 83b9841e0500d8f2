/**
 * What one credential may take of what a server has for all of them: a quarter is always left to others, or whoever may
 * use a server could close it to everybody else. Where there is but one, it is whoever comes first that has it.
 */
export const shareOf = (most: number): number => Math.max(1, most - Math.ceil(most / 4))
