package command

import "os"

// streams returns the command's standard streams. Being files, they are the command's own: nothing
// stands between.
func streams() []*os.File { return []*os.File{os.Stdin, os.Stdout, os.Stderr} }
