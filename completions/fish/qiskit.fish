# fish completion for qiskit; made by `make generated` from the command tree; do not edit
function __fish_qiskit_path
    set -l words (commandline -opc)
    set -l path qiskit
    for word in $words[2..]
        switch $path/$word
            case qiskit/dunes-keygen qiskit/dunes-verify
                set path $path/$word
        end
    end
    echo $path
end
complete -c qiskit -f
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit' -a dunes-keygen -d 'Make a post-quantum key: a document to keep and one to give to others.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit' -a dunes-verify -d 'Check a key document: its signature, its file, and whether it opens here.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit' -l version -d 'Print the version.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit' -s h -l help -d 'Show this message and exit.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -s o -l output -r -F -d 'The private key document to write.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l bits -r -d 'Root seed material to draw, 256 to 65536; the strength stays the same.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l algo -r -d 'dilithium (ML-DSA-65), dilithium2, dilithium5, …'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l entropy -r -d 'os, qiskit, file:PATH or http:NAME; mixed with the operating system\'s, so never weaker than that.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l require-quantum -d 'Fail if the source fails, or measures nothing quantum (a simulator).'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l timeout -r -d 'How long to wait for an http source; then the operating system\'s serves alone.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l name -r -d 'Owner of the key; default: the role.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l role -r -a 'gateway ground-station device operator' -d 'What it is for.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l passphrase-file -r -F -d 'Read the passphrase from the first line of a file (else $DUNES_PASSPHRASE_FILE, a systemd credential, $DUNES_PASSPHRASE).'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l passphrase-fd -r -d 'Read the passphrase from a file descriptor.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l machine-bound -d 'No passphrase: the key opens by itself on this machine.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l engine -r -a 'cryptography liboqs' -d 'liboqs: let the second engine check as well, where it is installed.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l force -d 'Replace files that are there.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l dry-run -d 'Say what would be made; make nothing.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l json -d 'Print the result as JSON.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -s q -l quiet -d 'Say less.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -s v -l verbose -d 'Say more; twice: still more.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l color -r -a 'auto always never' -d 'Colour the output.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l log-format -r -a 'text json' -d 'Notes on stderr as text or json.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l no-input -d 'Never ask; fail instead.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -l schema -d 'Print the JSON Schema of --json and exit.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-keygen' -s h -l help -d 'Show this message and exit.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-verify' -l key -r -F -d 'The key document to check.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-verify' -l passphrase-file -r -F -d 'Read the passphrase from the first line of a file (else $DUNES_PASSPHRASE_FILE, a systemd credential, $DUNES_PASSPHRASE).'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-verify' -l passphrase-fd -r -d 'Read the passphrase from a file descriptor.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-verify' -l engine -r -a 'cryptography liboqs' -d 'liboqs: let the second engine check as well, where it is installed.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-verify' -l json -d 'Print the result as JSON.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-verify' -s q -l quiet -d 'Say less.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-verify' -s v -l verbose -d 'Say more; twice: still more.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-verify' -l color -r -a 'auto always never' -d 'Colour the output.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-verify' -l log-format -r -a 'text json' -d 'Notes on stderr as text or json.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-verify' -l no-input -d 'Never ask; fail instead.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-verify' -l schema -d 'Print the JSON Schema of --json and exit.'
complete -c qiskit -n 'test (__fish_qiskit_path) = qiskit/dunes-verify' -s h -l help -d 'Show this message and exit.'
