'use strict'

// A file of its own, because an old Node cannot parse `import()`.
module.exports = function start(program) {
  import(require('url').pathToFileURL(program).href).catch(function (error) {
    process.stderr.write('postern: cannot start ' + program + ': ' + error.message + '\n')
    process.exitCode = 1
  })
}
