package command

import "os"

// streams returns the command's standard streams. Being files, they are the command's own: nothing
// stands between. One that was closed when this process was started stays closed.
func streams() []*os.File {
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	for i := range files {
		if closedAtStart&(1<<i) != 0 {
			files[i] = nil
		}
	}
	return files
}
