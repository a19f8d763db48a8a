terraform import nhi_credential.invoice_sync bao/openbao_approle/invoice-sync/credential/default
