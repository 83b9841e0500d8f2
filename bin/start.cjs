'use strict'

// A file of its own, because an old Node cannot parse `import()`.
var path = require('path')
var url = require('url')

/**
 * Keeps compiled code between starts: half the time to ready. Beside the sources, so that nobody can
 * plant code who could not change the sources themselves; where that cannot be written, nothing is kept.
 */
function keepCompiled(root) {
  var enable = require('module').enableCompileCache
  if (enable && !process.env.NODE_COMPILE_CACHE) enable(path.join(root, 'node_modules', '.cache', 'postern'))
}

module.exports = function start(root, program) {
  keepCompiled(root)
  import(url.pathToFileURL(program).href).catch(function (error) {
    process.stderr.write('postern: cannot start ' + program + ': ' + error.message + '\n')
    process.exit(1)
  })
}
