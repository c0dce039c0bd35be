//go:build tools

package devserver

import _ "github.com/temporalio/cli/cmd/temporal"
